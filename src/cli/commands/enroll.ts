// SPDX-License-Identifier: Apache-2.0
import { choice, text, toggle, whole } from '../param.ts';
import { command } from '../spec.ts';
import { viewChange } from '../view/change.ts';

export const enroll = command({
  path: ['enroll'],
  group: 'Workloads',
  summary: 'put the processes of a cgroup into the mesh',
  description:
    'Sockets that processes in the cgroup (or below it) make from now on, and sockets they connect from now on, use the mesh. ' +
    'Connections that are open stay as they are. CGROUP is a path, absolute or below the cgroup root. With --authz on nothing ' +
    'gets in before the policies of the workload are in force; in the network of the host itself that cannot be had.',
  examples: [
    { line: 'kmeshctl enroll kubepods.slice/kubepods-pod1.slice --workload shop/cart-0', note: 'a pod by its cgroup' },
    { line: 'kmeshctl enroll --pid 4711 --authz off', note: 'the cgroup of a process; everything may come in' },
  ],
  args: { cgroup: text('CGROUP', 'cgroup folder; or give --pid', { complete: 'directory' }) },
  flags: {
    pid: whole('PID', 'the cgroup of this process', { min: 1, max: 4194304 }),
    netns: text(
      'NAME',
      "network namespace of its sockets, a name under /run/netns or a path (default: the processes')",
      {
        complete: 'file',
      },
    ),
    workload: text('NS/NAME', 'the workload that it is: decides its locality, its addresses and its view'),
    authz: choice(
      ['on', 'off'],
      'on|off',
      'whether policies judge inbound connections (default: as it is enrolled, else on if an agent runs; without one to be given)',
    ),
    waypoint: toggle('it is a waypoint: what it calls goes through none'),
  },
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../tasks/enroll.ts')).enrollCgroup(ctx.env, { place: ctx.place, ...input }),
  view: viewChange,
});
