// SPDX-License-Identifier: Apache-2.0
import { toggle } from '../param.ts';
import { command } from '../spec.ts';
import { viewVersion } from '../view/version.ts';

export const version = command({
  path: ['version'],
  group: 'This tool',
  summary: 'show the versions of this program, the agent and the loaded programs',
  description: 'Versions of the agent and of the programs are shown where they can be read: both want root.',
  examples: [
    { line: 'kmeshctl version', note: 'all three' },
    { line: 'kmeshctl version --client', note: 'only this program; touches nothing' },
  ],
  args: {},
  flags: { client: toggle('only of this program') },
  run: async (ctx, input) =>
    (await import('../../tasks/version.ts')).showVersion(ctx.env, { place: ctx.place, ...input }),
  view: viewVersion,
});
