// SPDX-License-Identifier: Apache-2.0
import { choice, requiredText, text, texts, toggle } from '../param.ts';
import { command } from '../spec.ts';

export const exec = command({
  path: ['exec'],
  group: 'Workloads',
  summary: 'run a command inside the mesh',
  description:
    'Runs CMD in an enrolled cgroup of its own and ends with its exit code: 125 when kmeshctl itself failed, 126 when CMD ' +
    'cannot be run, 127 when it is not found. Signals are passed on. The cgroup and its enrolment go with the command.',
  examples: [
    { line: 'kmeshctl exec --workload shop/test -- curl -s http://10.96.0.10/', note: 'call a service as shop/test' },
    {
      line: 'kmeshctl exec --workload shop/test --netns pod1 --authz off -- bash',
      note: 'a shell in a network namespace',
    },
  ],
  args: { command: texts('CMD', 'the command and its arguments, after --', { required: true, complete: 'command' }) },
  flags: {
    workload: requiredText('NS/NAME', 'the workload that the command is'),
    netns: text('NAME', 'network namespace: a name under /run/netns, or a path', { complete: 'file' }),
    authz: choice(
      ['on', 'off'],
      'on|off',
      'whether policies judge inbound connections (default: off without --netns; with it on if an agent runs, else to be given)',
    ),
    waypoint: toggle('it is a waypoint: what it calls goes through none'),
  },
  needsRoot: true,
  ownOutput: true,
  failureCode: 125,
  run: async (ctx, input) => (await import('../../tasks/exec.ts')).execInMesh(ctx.env, { place: ctx.place, ...input }),
  view: () => [],
  exitCode: (result) => result.exitCode,
});
