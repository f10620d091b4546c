// SPDX-License-Identifier: Apache-2.0
import { requiredText } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewPolicyExplanation } from '../../view/authz-explanation.ts';

export const authzExplain = command({
  path: ['authz', 'explain'],
  group: 'Authorization',
  summary: 'say whether a connection gets in, and which policy and rule says so',
  description:
    'Looks it up in the maps of the kernel as the program that judges does: the verdict, the policy and rule that made it or the rules that ' +
    'came nearest, and what it would be with dry runs enforced. Also says when nothing is judged: an address of this node, a workload ' +
    'whose policies are not known yet. Works without an agent; with one it says what the nearest rules ask for. ' +
    'For policies that are in files only there is "kmeshctl authz check".',
  examples: [
    { line: 'kmeshctl authz explain --from shop/frontend-0 --to shop/cart-0:8080', note: 'by workloads' },
    { line: 'kmeshctl authz explain --from 203.0.113.7 --to [fd00::10]:53/udp', note: 'by addresses, over UDP' },
    { line: 'kmeshctl authz explain --from 4711 --to shop/cart-0:8080', note: 'by process' },
  ],
  args: {},
  flags: {
    from: requiredText(
      'ADDRESS|WORKLOAD|PID|CGROUP',
      'who connects: an address, NS/NAME of a workload, a process id, or a cgroup',
    ),
    to: requiredText('NS/NAME:PORT|ADDRESS:PORT[/udp]', 'to which workload of this node, and which port'),
  },
  needsRoot: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/authz/explain.ts')).explainPolicies(ctx.env, { place: ctx.place, ...input }),
  view: viewPolicyExplanation,
});
