// SPDX-License-Identifier: Apache-2.0
import { sizeFlags } from '../sizes.ts';
import { command } from '../spec.ts';
import { viewChange } from '../view/change.ts';

export const load = command({
  path: ['load'],
  group: 'Data plane',
  summary: 'load the programs, pin them and attach them to the cgroup root',
  description:
    'Programs, maps and links are pinned under the --bpffs folder and work on without any process. Nothing is balanced until ' +
    'a workload is enrolled. Refused when another version is loaded: "upgrade" swaps that.',
  examples: [
    { line: 'kmeshctl load', note: 'load with the default sizes' },
    { line: 'kmeshctl load --max-endpoints 1000000', note: 'room for a million endpoints' },
    { line: 'kmeshctl load --dry-run', note: 'see what would be created' },
  ],
  args: {},
  flags: sizeFlags,
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../tasks/load.ts')).loadPrograms(ctx.env, { place: ctx.place, ...input }),
  view: viewChange,
});
