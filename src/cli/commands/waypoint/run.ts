// SPDX-License-Identifier: Apache-2.0
import { logLevels } from '../../log-levels.ts';
import {
  choiceOr,
  durationOr,
  listenAddress,
  requiredText,
  text,
  textOr,
  texts,
  toggle,
  unlessEmpty,
  wholeOr,
} from '../../param.ts';
import { command } from '../../spec.ts';

export const waypointRun = command({
  path: ['waypoint', 'run'],
  group: 'Waypoints',
  summary: 'run a waypoint on this node: a stock Envoy',
  description:
    'Starts Envoy in a cgroup of its own, enrolled as a waypoint (what it calls goes through none), as a user without rights, told by the control plane of ' +
    'this node (its agent, else "kmeshctl waypoint serve"), of --ads, or (with --config) of this process. One line on standard output says that it listens. An Envoy that ends is started ' +
    'again. SIGTERM and SIGINT let requests finish for --drain and leave nothing behind.',
  examples: [
    {
      line: 'kmeshctl waypoint run waypoint -n shop',
      note: 'with an agent that was started with --waypoint-ads 127.0.0.1:15010',
    },
    {
      line: 'kmeshctl waypoint run waypoint -n shop --netns waypoint --proxy /opt/envoy -- --component-log-level rbac:debug',
      note: 'in a network namespace that has its address',
    },
    {
      line: 'kmeshctl waypoint run waypoint -n shop --config /etc/kmesh --listen 10.0.0.7:15088',
      note: 'without an agent: from a folder, watched',
    },
  ],
  args: {
    name: requiredText('NAME', 'name of the waypoint: of its Gateway'),
    args: texts('ARG', 'more arguments for Envoy, after --', { passedOn: true }),
  },
  flags: {
    namespace: unlessEmpty(
      text('NS', 'namespace of the waypoint (default: default, or that of the context)', { short: 'n' }),
    ),
    proxy: text('PATH', "Envoy's program (default: envoy in PATH)", { complete: 'file' }),
    ads: listenAddress(
      'ADDRESS',
      'control plane (default: that of this node: its agent\'s, with --waypoint-ads, else "kmeshctl waypoint serve")',
      15010,
    ),
    config: texts('DIR|FILE', 'be the control plane, from this configuration', { complete: 'file' }),
    listen: listenAddress(
      'ADDRESS',
      "where Envoy listens (default: the Gateway's address, port of its binding)",
      15088,
    ),
    netns: text('NAME', 'network namespace: a name under /run/netns, or a path', { complete: 'file' }),
    authz: choiceOr(
      'off',
      ['on', 'off'],
      'on|off',
      'whether policies judge what comes to the network of the waypoint itself',
    ),
    user: textOr('65534:65534', 'USER', 'whom Envoy runs as: a name, UID or UID:GID'),
    concurrency: wholeOr(2, 'N', "Envoy's worker threads; 0: as many as there are processors", { min: 0, max: 1024 }),
    proxyLogLevel: choiceOr(
      'warning',
      ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'],
      'LEVEL',
      'how much Envoy logs',
    ),
    logLevel: choiceOr('info', logLevels, 'LEVEL', 'how much else is logged'),
    drain: durationOr('5s', 'DURATION', 'how long requests may finish when it is told to stop'),
    timeout: durationOr('60s', 'DURATION', 'how long it may take until Envoy listens for the first time'),
    kubeconfig: text('FILE', 'say in this cluster that the Gateway is programmed, and where', {
      short: 'c',
      complete: 'file',
    }),
    context: text('NAME', 'the same, with this context of the kubeconfig'),
    noRestart: toggle('end with Envoy, by its exit code, in place of starting it again'),
  },
  needsRoot: true,
  handlesSignals: true,
  ownOutput: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/waypoint/run.ts')).runWaypoint(ctx.env, {
      ...{ place: ctx.place, output: ctx.output },
      ...input,
    }),
  view: () => [],
  exitCode: (result) => result.exitCode,
});
