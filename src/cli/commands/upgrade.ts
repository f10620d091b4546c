// SPDX-License-Identifier: Apache-2.0
import { sizeFlags } from '../sizes.ts';
import { command } from '../spec.ts';
import { viewChange } from '../view/change.ts';

export const upgrade = command({
  path: ['upgrade'],
  group: 'Data plane',
  summary: 'swap the loaded programs for those of this version, in place',
  description:
    'Maps whose layout or size changed are filled anew first, then every link is switched to its new program. Connections ' +
    'go on, and none sees a moment without a program. Also changes the sizes of maps.',
  examples: [
    { line: 'kmeshctl upgrade', note: 'swap in the programs of this version' },
    { line: 'kmeshctl upgrade --max-frontends 500000', note: 'make room for more frontends' },
    { line: 'kmeshctl upgrade --dry-run', note: 'see what would change' },
  ],
  args: {},
  flags: sizeFlags,
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../tasks/upgrade.ts')).upgradePrograms(ctx.env, { place: ctx.place, ...input }),
  view: viewChange,
});
