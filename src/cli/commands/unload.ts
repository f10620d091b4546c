// SPDX-License-Identifier: Apache-2.0
import { toggle } from '../param.ts';
import { command } from '../spec.ts';
import { viewChange } from '../view/change.ts';

export const unload = command({
  path: ['unload'],
  group: 'Data plane',
  summary: 'detach and remove everything that load made',
  description:
    'Detaches every program and removes every pin; connections that are open go on. Refused while workloads are enrolled or ' +
    'an agent runs.',
  examples: [
    { line: 'kmeshctl unload', note: 'remove the data plane' },
    { line: 'kmeshctl unload --force', note: 'remove it although workloads are enrolled' },
  ],
  args: {},
  flags: { force: toggle('although workloads are enrolled or an agent runs') },
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../tasks/unload.ts')).unloadPrograms(ctx.env, { place: ctx.place, ...input }),
  view: viewChange,
});
