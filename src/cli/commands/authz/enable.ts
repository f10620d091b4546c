// SPDX-License-Identifier: Apache-2.0
import { text, toggle } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewChange } from '../../view/change.ts';

export const authzEnable = command({
  path: ['authz', 'enable'],
  group: 'Authorization',
  summary: 'judge inbound connections of workloads that are enrolled',
  description:
    'As enroll --authz on does, for one workload or for all that are enrolled. Until their policies are in the kernel nothing gets in; without ' +
    'a running agent that stays so. Connections that are open and not allowed are ended by the agent. Says what it would close, and ' +
    'does it with --yes.',
  examples: [
    { line: 'kmeshctl authz enable --dry-run', note: 'what would be judged that is not' },
    { line: 'kmeshctl authz enable --workload shop/cart-0 --yes', note: 'one' },
  ],
  args: {},
  flags: {
    workload: text('NS/NAME', 'only what is enrolled as this workload (default: all)'),
    yes: toggle('do it, whatever it closes', { short: 'y' }),
  },
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/authz/switch.ts')).switchPolicies(ctx.env, { place: ctx.place, on: true, ...input }),
  view: viewChange,
});
