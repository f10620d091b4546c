// SPDX-License-Identifier: Apache-2.0
// Everything that is generated and kept: paths below the project and what they must hold.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bashScript } from '../completion/bash.ts';
import { fishScript } from '../completion/fish.ts';
import { zshScript } from '../completion/zsh.ts';
import { programName } from '../describe.ts';
import type { Program } from '../spec.ts';
import { manPages } from './man.ts';
import { docs, readme } from './markdown.ts';

/** Folders that hold nothing else: files in them that are no longer generated are stale. */
const folders = ['completions', 'man', 'docs/cli'];

/** Path -> text; undefined: must not exist. */
export function wantedFiles(root: string, program: Program): ReadonlyMap<string, string | undefined> {
  const wanted = new Map<string, string | undefined>([
    [`completions/${programName}.bash`, bashScript(program)],
    [`completions/${programName}.zsh`, zshScript(program)],
    [`completions/${programName}.fish`, fishScript(program)],
    ...manPages(program),
    ...docs(program),
    ['README.md', readme(program, read(join(root, 'README.md')) ?? '')],
  ]);
  for (const folder of folders) {
    for (const name of entries(join(root, folder))) {
      if (!wanted.has(`${folder}/${name}`)) wanted.set(`${folder}/${name}`, undefined);
    }
  }
  return wanted;
}

/** Paths whose text is not as wanted. */
export const staleFiles = (root: string, wanted: ReadonlyMap<string, string | undefined>): string[] =>
  [...wanted].flatMap(([path, text]) => (read(join(root, path)) === text ? [] : [path]));

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
