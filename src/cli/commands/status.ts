// SPDX-License-Identifier: Apache-2.0
import { command } from '../spec.ts';
import { viewStatus } from '../view/status.ts';

export const status = command({
  path: ['status'],
  group: 'Data plane',
  summary: 'show what is loaded, how full it is, what the agent says and why connections were left alone',
  description:
    'Programs, fill and fragmentation of every map, the reasons counted by the programs, and, when an agent runs, its ' +
    'readiness and the faults of its configuration.',
  examples: [
    { line: 'kmeshctl status', note: 'everything at a glance' },
    { line: 'kmeshctl status -o json', note: 'the same for scripts' },
  ],
  args: {},
  flags: {},
  needsRoot: true,
  run: async (ctx) => (await import('../../tasks/status.ts')).showStatus(ctx.env, { place: ctx.place }),
  view: viewStatus,
});
