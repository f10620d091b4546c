// SPDX-License-Identifier: Apache-2.0
import { requiredText, text } from '../param.ts';
import { command } from '../spec.ts';
import { viewExplanation } from '../view/explanation.ts';

export const explain = command({
  path: ['explain'],
  group: 'Looking inside',
  summary: 'say where a connection would go, and why',
  description:
    'Names the frontend, the policy and every candidate endpoint with its probability, and why the others are out. Asks the ' +
    'agent for reasons when one runs; works from the kernel alone without. Whether the other side lets it in says "kmeshctl authz explain".',
  examples: [
    { line: 'kmeshctl explain --from shop/cart-0 --to 10.96.0.10:80', note: 'by workload' },
    { line: 'kmeshctl explain --from 4711 --to [fd00::10]:53/udp', note: 'by process, over UDP' },
  ],
  args: {},
  flags: {
    from: text(
      'CGROUP|WORKLOAD|PID',
      'the client: a cgroup path, NS/NAME of a workload, or a process id (default: any enrolled client)',
    ),
    to: requiredText('ADDRESS:PORT[/udp]', 'the destination as the client would dial it'),
  },
  needsRoot: true,
  run: async (ctx, input) =>
    (await import('../../tasks/explain.ts')).explainConnection(ctx.env, { place: ctx.place, ...input }),
  view: viewExplanation,
});
