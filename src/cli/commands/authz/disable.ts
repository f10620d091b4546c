// SPDX-License-Identifier: Apache-2.0
import { text, toggle } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewChange } from '../../view/change.ts';

export const authzDisable = command({
  path: ['authz', 'disable'],
  group: 'Authorization',
  summary: 'let everything in to workloads that are enrolled, whatever their policies say',
  description:
    'As enroll --authz off does, for one workload or for all that are enrolled. They stay in the mesh. Names what it would open, and does it ' +
    'with --yes. Nor is it checked any more that they send from their own addresses.',
  examples: [
    { line: 'kmeshctl authz disable --dry-run', note: 'what it would open' },
    { line: 'kmeshctl authz disable --workload shop/cart-0 --yes', note: 'one' },
  ],
  args: {},
  flags: {
    workload: text('NS/NAME', 'only what is enrolled as this workload (default: all)'),
    yes: toggle('do it, whatever it opens', { short: 'y' }),
  },
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/authz/switch.ts')).switchPolicies(ctx.env, { place: ctx.place, on: false, ...input }),
  view: viewChange,
});
