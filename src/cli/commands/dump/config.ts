// SPDX-License-Identifier: Apache-2.0
import { listFlags } from '../../list-flags.ts';
import { choice, toggle } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewConfig } from '../../view/config.ts';

export const dumpConfig = command({
  path: ['dump', 'config'],
  group: 'Looking inside',
  summary: 'list the workloads, services, policies, gateways and routes as the agent has them',
  description:
    'The model that the agent made of its sources, before anything is worked out for this node. JSON and YAML have the shape of ' +
    'the config_dump of ztunnel, so that "istioctl ztunnel-config … -f FILE" reads them; what ztunnel has no field for stands ' +
    'under "kmesh".',
  examples: [
    { line: 'kmeshctl dump config', note: 'a line for each' },
    { line: 'kmeshctl dump config -o yaml --filter cart', note: 'with every field' },
    {
      line: 'kmeshctl dump config --kind service --origin',
      note: 'which source each is taken from, and whom it shadows',
    },
    { line: 'kmeshctl dump config -o json > dump.json', note: 'for istioctl ztunnel-config services -f dump.json' },
  ],
  args: {},
  flags: {
    kind: choice(['workload', 'service', 'policy', 'gateway', 'route'], 'KIND', 'only those'),
    origin: toggle('show the source that each is taken from, and those that give it too'),
    ...listFlags,
  },
  run: async (ctx, input) =>
    (await import('../../../tasks/show-config.ts')).showConfig(ctx.env, { place: ctx.place, ...input }),
  view: viewConfig,
});
