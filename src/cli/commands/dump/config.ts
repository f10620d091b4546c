// SPDX-License-Identifier: Apache-2.0
import { listFlags } from '../../list-flags.ts';
import { command } from '../../spec.ts';
import { viewConfig } from '../../view/config.ts';

export const dumpConfig = command({
  path: ['dump', 'config'],
  group: 'Looking inside',
  summary: 'list the services and workloads as the agent has them',
  description: 'The model that the agent made of its configuration, before anything is worked out for this node.',
  examples: [
    { line: 'kmeshctl dump config', note: 'a line for each' },
    { line: 'kmeshctl dump config -o yaml --filter cart', note: 'with every field' },
  ],
  args: {},
  flags: listFlags,
  run: async (ctx, input) =>
    (await import('../../../tasks/show-config.ts')).showConfig(ctx.env, { place: ctx.place, ...input }),
  view: viewConfig,
});
