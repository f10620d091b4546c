// SPDX-License-Identifier: Apache-2.0
// Tones to colours. The library is loaded where colours are wanted only: most commands that start often are read by scripts.
import type { Tone } from './spec.ts';

export type Paint = (text: string, tone: Tone | undefined) => string;

export async function painter(colour: boolean): Promise<Paint> {
  if (!colour) return (text) => text;
  const { Chalk } = await import('chalk');
  const chalk = new Chalk({ level: 1 });
  const tones = { good: chalk.green, warn: chalk.yellow, bad: chalk.red, dim: chalk.dim, strong: chalk.bold };
  return (text, tone) => (tone === undefined || text === '' ? text : tones[tone](text));
}
