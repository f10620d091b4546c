// SPDX-License-Identifier: Apache-2.0
// What can be typed where, walked from the list of commands: the shells' scripts differ only in how they say it.
import { flagsOf } from '../describe.ts';
import { globalFlags } from '../global.ts';
import { flagName, type Param, type Params } from '../param.ts';
import type { Program } from '../spec.ts';

/** What completes a value. */
export type Value =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'file' | 'directory' | 'command' | 'anything' };

export interface FlagWord {
  /** "--output", and "-o" where there is one. */
  readonly names: readonly string[];
  readonly summary: string;
  /** Absent: a switch. */
  readonly value?: Value;
  readonly repeatable: boolean;
}

/** A place in the tree of commands: the root (path ''), a topic, or a command. */
export interface Spot {
  /** "dump maps" */
  readonly path: string;
  /** Commands and verbs below. */
  readonly below: readonly { readonly name: string; readonly summary: string }[];
  readonly flags: readonly FlagWord[];
  /** Arguments in order; the last may repeat. */
  readonly args: readonly { readonly value: Value; readonly name: string; readonly repeatable: boolean }[];
}

function valueFrom(param: Param<unknown>): Value {
  const words = param.choices ?? param.suggestions;
  return words === undefined ? { kind: param.complete ?? 'anything' } : { kind: 'words', words };
}

const flagWord = ([key, param]: readonly [string, Param<unknown>]): FlagWord => ({
  names: param.short === undefined ? [flagName(key)] : [`-${param.short}`, flagName(key)],
  summary: param.summary,
  ...(param.placeholder === undefined ? {} : { value: valueFrom(param) }),
  repeatable: param.repeatable === true,
});

const flagWords = (params: Params): FlagWord[] => Object.entries(params).map(flagWord);

const helpWord: FlagWord = { names: ['-h', '--help'], summary: 'show help', repeatable: false };

/** Flags that are good everywhere. */
export const everywhere: readonly FlagWord[] = [...flagWords(globalFlags), helpWord];

/** The root first, then each topic before its commands. */
export function spots(program: Program): readonly Spot[] {
  const found = new Map<string, Spot>();
  const root: Spot['below'][number][] = [];
  for (const command of program.commands) {
    const [first, verb] = command.path;
    const summary = verb === undefined ? command.summary : (program.topics[first]?.summary ?? '');
    if (!root.some(({ name }) => name === first)) root.push({ name: first, summary });
    if (verb !== undefined) {
      const below = found.get(first)?.below ?? [];
      found.set(first, {
        path: first,
        flags: [],
        args: [],
        below: [...below, { name: verb, summary: command.summary }],
      });
    }
    found.set(command.path.join(' '), {
      path: command.path.join(' '),
      below: [],
      flags: flagWords(flagsOf(command)),
      args: Object.values(command.args).map((param) => ({
        value: valueFrom(param),
        name: param.placeholder ?? '',
        repeatable: param.repeatable === true,
      })),
    });
  }
  return [{ path: '', below: root, flags: [], args: [] }, ...found.values()];
}

/** Names of every flag that takes a value, at any place. */
export function valueFlagNames(program: Program): readonly string[] {
  const all = [...everywhere, ...spots(program).flatMap(({ flags }) => flags)];
  return [...new Set(all.filter(({ value }) => value !== undefined).flatMap(({ names }) => names))].sort();
}
