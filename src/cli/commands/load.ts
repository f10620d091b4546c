// SPDX-License-Identifier: Apache-2.0
import { toggle } from '../param.ts';
import { sizeFlags } from '../sizes.ts';
import { command } from '../spec.ts';
import { viewChange } from '../view/change.ts';

export const load = command({
  path: ['load'],
  group: 'Data plane',
  summary: 'load the programs, pin them and attach them to the cgroup root',
  description:
    'Programs, maps and links are pinned under the --bpffs folder and work on without any process. Nothing is balanced until ' +
    'a workload is enrolled. Refused when programs are loaded already: "upgrade" and --or-upgrade swap them.',
  examples: [
    { line: 'kmeshctl load', note: 'load with the default sizes' },
    { line: 'kmeshctl load --max-endpoints 1000000', note: 'room for a million endpoints' },
    { line: 'kmeshctl load --or-upgrade', note: 'what a service does at boot' },
    { line: 'kmeshctl load --dry-run', note: 'see what would be created' },
  ],
  args: {},
  flags: {
    orUpgrade: toggle('when programs are loaded: swap them for those of this version if they differ'),
    ...sizeFlags,
  },
  needsRoot: true,
  changesKernel: true,
  async run(ctx, { orUpgrade, ...input }) {
    const options = { place: ctx.place, ...input };
    if (orUpgrade) return (await import('../../tasks/ensure-loaded.ts')).ensureLoaded(ctx.env, options);
    return (await import('../../tasks/load.ts')).loadPrograms(ctx.env, options);
  },
  view: viewChange,
});
