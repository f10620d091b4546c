// SPDX-License-Identifier: Apache-2.0
import { counted, KmeshError } from '../../../errors.ts';
import { whole } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewDiff } from '../../view/diff.ts';

export const dumpDiff = command({
  path: ['dump', 'diff'],
  group: 'Looking inside',
  summary: 'compare what the agent wants with what the kernel holds',
  description: 'Empty, with exit code 0, when all is well; one line for each difference and exit code 1 when not.',
  examples: [
    { line: 'kmeshctl dump diff', note: 'list the differences' },
    { line: 'kmeshctl dump diff > /dev/null && echo in sync', note: 'in a script' },
  ],
  args: {},
  flags: { limit: whole('N', 'at most so many differences', { min: 1, max: 1e9 }) },
  run: async (ctx, input) =>
    (await import('../../../tasks/show-diff.ts')).showDiff(ctx.env, { place: ctx.place, ...input }),
  view: viewDiff,
  failure: ({ count }) =>
    count === 0
      ? undefined
      : new KmeshError(
          'KM_DRIFT',
          `the kernel differs from what the agent wants in ${counted(count, 'entry', 'entries')}`,
          {
            hint: 'the agent repairs them at its next comparison (--heal-interval); "kmeshctl status" says when that was',
          },
        ),
});
