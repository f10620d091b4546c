// SPDX-License-Identifier: Apache-2.0
import { text } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewPoliciesStatus } from '../../view/authz-status.ts';

export const authzStatus = command({
  path: ['authz', 'status'],
  group: 'Authorization',
  summary: 'list what is judged on this node, by which policies, and what they decided',
  description:
    'ENFORCED is on, pending (no policies are known yet: nothing gets in) or off (nothing is judged). MODE says what becomes of a connection ' +
    'that no rule matches: open, as no policy holds; deny-list: allowed; allow-list: denied; closed: something is wrong with a policy, and nothing ' +
    'gets in. Read from the kernel; a running agent adds which policies are stale, refused, or deny less than they say.',
  examples: [
    { line: 'kmeshctl authz status', note: 'all of them' },
    { line: 'kmeshctl authz status --workload shop/cart-0 -o yaml', note: 'one, with its policies' },
  ],
  args: {},
  flags: { workload: text('NS/NAME', 'only what is enrolled as this workload') },
  needsRoot: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/authz/status.ts')).showPolicies(ctx.env, { place: ctx.place, ...input }),
  view: viewPoliciesStatus,
});
