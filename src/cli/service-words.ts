// SPDX-License-Identifier: Apache-2.0
// The flags that one command was given, as the command line of another.
import { resolve } from 'node:path';
import { flagName, type Params } from './param.ts';
import type { Words } from './spec.ts';

const isPath = (params: Params, key: string): boolean =>
  params[key]?.complete === 'file' || params[key]?.complete === 'directory';

/** Each of `params` that was given, in their order; paths become absolute, for whoever reads it is elsewhere. */
export function givenWords(params: Params, words: Words, cwd: string): string[] {
  return Object.entries(params).flatMap(([key, param]) =>
    (words[key] ?? []).flatMap((word) => {
      if (param.placeholder === undefined) return [flagName(key)];
      return [flagName(key), isPath(params, key) ? resolve(cwd, word) : word];
    }),
  );
}

/** Absolute paths of the files and folders among them. */
export const givenPaths = (params: Params, words: Words, cwd: string): string[] =>
  Object.keys(params).flatMap((key) =>
    isPath(params, key) ? (words[key] ?? []).map((word) => resolve(cwd, word)) : [],
  );
