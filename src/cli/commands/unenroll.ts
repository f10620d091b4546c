// SPDX-License-Identifier: Apache-2.0
import { text, whole } from '../param.ts';
import { command } from '../spec.ts';
import { viewChange } from '../view/change.ts';

export const unenroll = command({
  path: ['unenroll'],
  group: 'Workloads',
  summary: 'take a cgroup out of the mesh',
  description: 'New connections of its processes are left alone from now on; those that are open go on as they are.',
  examples: [
    { line: 'kmeshctl unenroll kubepods.slice/kubepods-pod1.slice', note: 'by its cgroup' },
    { line: 'kmeshctl unenroll --workload shop/cart-0', note: 'by its workload' },
  ],
  args: { cgroup: text('CGROUP', 'cgroup folder; or give --pid or --workload', { complete: 'directory' }) },
  flags: {
    pid: whole('PID', 'the cgroup of this process', { min: 1, max: 4194304 }),
    workload: text('NS/NAME', 'the cgroups enrolled as this workload'),
  },
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../tasks/unenroll.ts')).unenrollCgroup(ctx.env, { place: ctx.place, ...input }),
  view: viewChange,
});
