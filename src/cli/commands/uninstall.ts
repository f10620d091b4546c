// SPDX-License-Identifier: Apache-2.0
import { choiceOr, text, toggle } from '../param.ts';
import { command } from '../spec.ts';
import { viewChange } from '../view/change.ts';

export const uninstall = command({
  path: ['uninstall'],
  group: 'This tool',
  summary: 'take away everything that install and its service made',
  description:
    'Stops the service, unloads the programs, and removes the units with all that belongs to them. Refused while workloads are ' +
    'enrolled, for that would take them out of the mesh: say with --keep-programs or --force what becomes of them.',
  examples: [
    { line: 'kmeshctl uninstall --target node', note: 'remove all' },
    { line: 'kmeshctl uninstall --target node --keep-programs', note: 'remove the service, leave traffic as it is' },
  ],
  args: {},
  flags: {
    target: choiceOr('node', ['node'], 'TARGET', 'where from: node is this machine'),
    root: text('DIR', 'an image below this folder, in place of this machine', { complete: 'directory' }),
    keepPrograms: toggle('leave the programs in the kernel: they work on with what they know'),
    force: toggle('although workloads are enrolled: they are in the mesh no more'),
  },
  needsRoot: true,
  changesKernel: true,
  run: async (ctx, input) =>
    (await import('../../tasks/uninstall.ts')).uninstallNode(ctx.env, { place: ctx.place, ...input }),
  view: viewChange,
});
