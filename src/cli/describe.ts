// SPDX-License-Identifier: Apache-2.0
// Words about commands and their flags that help, man pages, docs and completion share.
import { dryRunFlag } from './global.ts';
import { flagName, type Param, type Params } from './param.ts';
import type { Command } from './spec.ts';

export const programName = 'kmeshctl';

/** The flags of a command in the order help shows them, --dry-run among them. */
export const flagsOf = (command: Command): Params =>
  command.changesKernel === true ? { ...command.flags, ...dryRunFlag } : command.flags;

export const commandName = (command: Command): string => command.path.join(' ');

/** "-o, --output FORMAT" */
export function flagTerm(key: string, param: Param<unknown>): string {
  const names = param.short === undefined ? flagName(key) : `-${param.short}, ${flagName(key)}`;
  return param.placeholder === undefined ? names : `${names} ${param.placeholder}`;
}

/** "FILE…", "[MAP…]", "CGROUP" */
export function argTerm(param: Param<unknown>): string {
  const name = `${param.placeholder ?? ''}${param.repeatable === true ? '…' : ''}`;
  return param.required === true ? name : `[${name}]`;
}

/** Summary with what may be given, the default and where else it is read from. */
export function paramText(param: Param<unknown>): string {
  const notes = [
    param.required === true ? 'required' : undefined,
    param.choices === undefined ? undefined : `one of ${param.choices.join(', ')}`,
    param.repeatable === true ? 'repeatable' : undefined,
    param.fallback === undefined || param.fallback === '' ? undefined : `default: ${param.fallback}`,
    param.also === undefined ? undefined : `also: ${flagName(param.also)}`,
    param.env === undefined ? undefined : `env: ${param.env}`,
  ].filter((note) => note !== undefined);
  return notes.length === 0 ? param.summary : `${param.summary} (${notes.join('; ')})`;
}

/** "kmeshctl dump maps [flags] [MAP…]" */
export function usageLine(command: Command): string {
  const args = Object.values(command.args).map(argTerm);
  return [programName, ...command.path, '[flags]', ...args].join(' ');
}
