// SPDX-License-Identifier: Apache-2.0
// A command as data: everything that help, man pages, completion and the surface snapshot show, and one thin `run`.
import type { Env, Place } from '../env.ts';
import type { KmeshError } from '../errors.ts';
import type { Input, Params } from './param.ts';

/** The words given for each flag and argument, by key; none, or no key: not given. */
export type Words = Readonly<Record<string, readonly string[]>>;

/** What every command gets. */
export interface Context {
  readonly env: Env;
  readonly place: Place;
  readonly verbose: boolean;
  /** Format asked for; for commands that print for themselves. */
  readonly output: string;
  readonly program: Program;
  /** As they were typed or are in the environment, before they became `input`. */
  readonly words: Words;
}

export interface Example {
  readonly line: string;
  readonly note: string;
}

export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'strong';
export type Plain = string | number | bigint | boolean | undefined;
export type Cell = Plain | { readonly text: Plain; readonly tone: Tone };

/** What the table format draws: results become blocks, blocks become text. */
export type Block =
  | { readonly kind: 'line'; readonly text: string; readonly tone?: Tone }
  /** Printed as it is: text for machines. */
  | { readonly kind: 'raw'; readonly text: string }
  | { readonly kind: 'facts'; readonly title?: string; readonly rows: Iterable<readonly [string, Cell]> }
  | {
      readonly kind: 'table';
      readonly title?: string;
      readonly head: readonly string[];
      readonly rows: Iterable<readonly Cell[]> | AsyncIterable<readonly Cell[]>;
      /** Printed in place of a table without rows. */
      readonly none?: string;
    };

export type Blocks = Iterable<Block> | AsyncIterable<Block>;

export type Group =
  | 'Data plane'
  | 'Workloads'
  | 'Authorization'
  | 'Waypoints'
  | 'Control plane'
  | 'Looking inside'
  | 'This tool';

type DryRun<K> = K extends true ? { readonly dryRun: boolean } : unknown;

export interface Spec<A extends Params, F extends Params, R, K extends boolean> {
  /** ['load'] or [topic, verb]. */
  readonly path: readonly [string] | readonly [string, string];
  readonly group: Group;
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly Example[];
  readonly args: A;
  readonly flags: F;
  /** Refused for anyone but root. */
  readonly needsRoot?: boolean;
  /** Adds --dry-run. */
  readonly changesKernel?: K;
  /** The first SIGINT or SIGTERM aborts ctx.env.signal and the command ends in its own way. */
  readonly handlesSignals?: boolean;
  /** Standard output and error belong to the command itself: its result is not printed. */
  readonly ownOutput?: boolean;
  run(ctx: Context, input: Input<A> & Input<F> & DryRun<K>): Promise<R>;
  /** The result for people; json and yaml print it as it is. Streams (AsyncIterable) are printed as they come. */
  view(result: R): Blocks;
  /** Further values of -o, each giving text. */
  readonly formats?: Readonly<Record<string, (result: R) => Promise<string>>>;
  /** Exit code of every failure, usage included, in place of 1 and 2. */
  readonly failureCode?: number;
  /** Asked once the result is printed: a result that is bad news is reported as a failure, too. */
  failure?(result: R): KmeshError | undefined;
  /** Asked once the result is printed; 0 when absent. */
  exitCode?(result: R): number;
}

/** A command with its types forgotten, as the adapter and the generators see it. */
export interface Command
  extends Omit<Spec<Params, Params, unknown, boolean>, 'run' | 'view' | 'formats' | 'failure' | 'exitCode'> {
  run(ctx: Context, input: Readonly<Record<string, unknown>>): Promise<unknown>;
  view(result: unknown): Blocks;
  readonly formats?: Readonly<Record<string, (result: unknown) => Promise<string>>>;
  failure?(result: unknown): KmeshError | undefined;
  exitCode?(result: unknown): number;
}

export interface Program {
  readonly summary: string;
  readonly version: string;
  readonly topics: Readonly<Record<string, { readonly summary: string }>>;
  readonly commands: readonly Command[];
}

/** Checks a spec's types, then forgets them. */
export function command<const A extends Params, const F extends Params, R, K extends boolean = false>(
  spec: Spec<A, F, R, K>,
): Command {
  return spec as unknown as Command;
}

/** All items of a stream, for formats that need to see them together. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
