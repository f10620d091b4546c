// SPDX-License-Identifier: Apache-2.0
import { logLevels } from '../log-levels.ts';
import { choice } from '../param.ts';
import { command } from '../spec.ts';

export const log = command({
  path: ['log'],
  group: 'Control plane',
  summary: 'show or change how much the running agent logs',
  description: 'Takes effect at once and lasts until the agent ends.',
  examples: [{ line: 'kmeshctl log debug', note: 'log more for a while' }],
  args: { level: choice(logLevels, 'LEVEL', 'the new level; left out: show it') },
  flags: {},
  run: async (ctx, input) =>
    (await import('../../tasks/set-log-level.ts')).setLogLevel(ctx.env, { place: ctx.place, ...input }),
  view: (result) => [
    {
      kind: 'line',
      text: result.level === result.was ? `log level ${result.level}` : `log level ${result.level}, was ${result.was}`,
    },
  ],
});
