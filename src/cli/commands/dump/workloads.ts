// SPDX-License-Identifier: Apache-2.0
import { listFlags } from '../../list-flags.ts';
import { command } from '../../spec.ts';
import { viewWorkloads } from '../../view/services.ts';

export const dumpWorkloads = command({
  path: ['dump', 'workloads'],
  group: 'Looking inside',
  summary: 'list the workloads that the kernel knows',
  description: 'Read from the kernel; no agent is needed.',
  examples: [
    { line: 'kmeshctl dump workloads', note: 'all of them' },
    { line: 'kmeshctl dump workloads --filter shop/', note: 'those of a namespace' },
  ],
  args: {},
  flags: listFlags,
  needsRoot: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/show-held.ts')).showWorkloads(ctx.env, { place: ctx.place, ...input }),
  view: viewWorkloads,
});
