// SPDX-License-Identifier: Apache-2.0
import { KmeshError } from '../../errors.ts';
import { requiredChoice, text } from '../param.ts';
import { givenPaths, givenWords } from '../service-words.ts';
import { sizeFlags } from '../sizes.ts';
import { command } from '../spec.ts';
import { viewInstall } from '../view/install.ts';
import { agentFlags } from './agent.ts';

export const install = command({
  path: ['install'],
  group: 'This tool',
  summary: 'make kmeshctl a service of this machine: loaded at boot, agent kept running',
  description:
    'Writes two systemd units, enables and starts them: kmeshctl-load loads the programs before the kubelet and the container ' +
    'runtime start, kmeshctl-agent runs the agent with the flags given here. Traffic goes on while they are restarted. Where ' +
    'systemd does not run, and with --root, the units are written and enabled only. Done again with other flags it changes what ' +
    'differs.',
  examples: [
    { line: 'kmeshctl install --target node --xds istiod.istio-system.svc:15012', note: 'an agent of a control plane' },
    { line: 'kmeshctl install --target node --config /etc/kmesh', note: 'one that reads a folder' },
    { line: 'kmeshctl install --target node --config /etc/kmesh --dry-run', note: 'see what would be written and run' },
    { line: 'kmeshctl install --target node --config /etc/kmesh --root /mnt/image', note: 'into an image' },
  ],
  args: {},
  flags: {
    target: requiredChoice(['node'], 'TARGET', 'where to: node is this machine'),
    root: text('DIR', 'an image below this folder, in place of this machine', { complete: 'directory' }),
    ...agentFlags,
  },
  needsRoot: true,
  changesKernel: true,
  async run(ctx, { root, dryRun, ...agent }) {
    if (agent.config.includes('-')) {
      throw new KmeshError('KM_USAGE', '--config - is for a person: a service has no standard input');
    }
    const cwd = ctx.env.cwd();
    const { installNode } = await import('../../tasks/install.ts');
    return installNode(ctx.env, {
      place: ctx.place,
      dryRun,
      agent,
      ...(root === undefined ? {} : { root }),
      loadWords: givenWords(sizeFlags, ctx.words, cwd),
      agentWords: givenWords(agentFlags, ctx.words, cwd),
      reads: givenPaths(agentFlags, ctx.words, cwd),
    });
  },
  view: viewInstall,
});
