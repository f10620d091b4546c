// SPDX-License-Identifier: Apache-2.0

import { logLevels } from '../log-levels.ts';
import { choiceOr, durationOr, listenAddress, text, texts } from '../param.ts';
import { sizeFlags } from '../sizes.ts';
import { command } from '../spec.ts';

/** Those of `install` as well: what it writes starts an agent with them. */
export const agentFlags = {
  config: texts('DIR|FILE', 'where the configuration is; - reads standard input once', {
    required: true,
    complete: 'file',
  }),
  node: text('NAME', "name of this node: its locality and node-local policies need it (default: the host's name)"),
  logLevel: choiceOr('info', logLevels, 'LEVEL', 'how much is logged; "kmeshctl log" changes it later'),
  healInterval: durationOr('60s', 'TIME', 'how often the whole kernel state is compared and repaired; 0s: never'),
  metrics: listenAddress('ADDRESS', 'where metrics and health are served over HTTP, such as :15020 (default: nowhere)'),
  ...sizeFlags,
};

export const agent = command({
  path: ['agent'],
  group: 'Control plane',
  summary: 'keep the kernel as the configuration says',
  description:
    'Reads and watches Kubernetes and Istio YAML, works out what this node needs, and writes what differs. Loads the programs ' +
    'when none are loaded. SIGHUP reads everything again; SIGTERM ends the agent and leaves the data plane working. Logs go ' +
    'to standard error as JSON, one object a line; readiness is told to systemd.',
  examples: [
    { line: 'kmeshctl agent --config /etc/kmesh', note: 'a folder, watched' },
    { line: 'kmeshctl agent --config services.yaml --config pods/', note: 'several places' },
    { line: 'kubectl get -A -o yaml services,pods,endpointslices | kmeshctl agent --config -', note: 'standard input' },
  ],
  args: {},
  flags: agentFlags,
  needsRoot: true,
  handlesSignals: true,
  ownOutput: true,
  run: async (ctx, input) =>
    (await import('../../tasks/run-agent.ts')).runAgent(ctx.env, { place: ctx.place, ...input }),
  view: () => [],
});
