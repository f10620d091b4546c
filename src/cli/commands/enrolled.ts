// SPDX-License-Identifier: Apache-2.0
import { toggle } from '../param.ts';
import { command } from '../spec.ts';
import { viewEnrolled } from '../view/enrolled.ts';

export const enrolled = command({
  path: ['enrolled'],
  group: 'Workloads',
  summary: 'list what is enrolled, and connections older than their enrolment',
  description:
    'Connections that were open before the enrolment stay untouched and outside of the mesh: they are listed, so that their ' +
    'processes can be restarted. Enrolments of deleted cgroups are marked; --prune removes them.',
  examples: [
    { line: 'kmeshctl enrolled', note: 'list enrolments' },
    { line: 'kmeshctl enrolled --prune', note: 'remove enrolments of deleted cgroups' },
  ],
  args: {},
  flags: { prune: toggle('remove enrolments of deleted cgroups') },
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../tasks/enrolled.ts')).listEnrolled(ctx.env, {
      place: ctx.place,
      prune: input.prune,
      dryRun: input.dryRun,
    }),
  view: viewEnrolled,
});
