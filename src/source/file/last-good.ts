// SPDX-License-Identifier: Apache-2.0
// What files said last that was good, kept beside the agent: policies, and whatever stands in for a document that is broken now. After a restart
// the documents themselves cannot tell it any more.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import type { MeshObject } from './objects.ts';
import { isGone, stdinName } from './scan.ts';

/** By the name of the file that holds, or held, them. */
export type LastGood = ReadonlyMap<string, readonly MeshObject[]>;

export interface LastGoodStore {
  /** Of files that belong to the paths given now. */
  readonly found: LastGood;
  /** Makes the folder say this. Lists that are the same ones as before are not written. */
  save(now: LastGood): Promise<void>;
}

/** Another one whenever what is kept of an object takes another shape: records of another one are left out. */
const format = 1;

interface LastGoodRecord {
  readonly format: number;
  /** Absolute, as names depend on how paths are given. */
  readonly path: string;
  readonly objects: readonly MeshObject[];
}

/** Opens the folder, which need not exist. `onFault` hears of records that cannot be read. */
export async function openLastGood(
  folder: string,
  paths: readonly string[],
  onFault: (path: string, error: unknown) => void,
): Promise<LastGoodStore> {
  const found = new Map<string, readonly MeshObject[]>();
  /** Name of the record -> what it holds; undefined: what nobody wants. */
  const stored = new Map<string, readonly MeshObject[] | undefined>();
  for (const name of await namesIn(folder)) {
    stored.set(name, undefined);
    if (!name.endsWith(ending)) continue;
    try {
      const record = deserialize(await readFile(join(folder, name))) as LastGoodRecord;
      if (record.format !== format) throw new Error(`it has format ${record.format}`);
      const file = nameOf(record.path, paths);
      if (file === undefined) continue;
      found.set(file, record.objects);
      stored.set(name, record.objects);
    } catch (error) {
      onFault(join(folder, name), error);
    }
  }
  return {
    found,
    async save(now) {
      const wanted = new Map([...now].map(([file, objects]) => [recordName(file), { file, objects }]));
      for (const name of stored.keys()) {
        if (wanted.has(name)) continue;
        await rm(join(folder, name), { force: true });
        stored.delete(name);
      }
      for (const [name, { file, objects }] of wanted) {
        if (stored.get(name) === objects) continue;
        const record: LastGoodRecord = { format, path: pathOf(file), objects };
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await writeFile(join(folder, `${name}.next`), serialize(record), { mode: 0o600 });
        await rename(join(folder, `${name}.next`), join(folder, name));
        stored.set(name, objects);
      }
    },
  };
}

const ending = '.record';

const recordName = (file: string): string =>
  `${createHash('sha256').update(pathOf(file)).digest('hex').slice(0, 32)}${ending}`;

const pathOf = (file: string): string => (file === stdinName ? file : resolve(file));

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** As complaints name it; undefined when no path leads there. */
function nameOf(path: string, paths: readonly string[]): string | undefined {
  for (const given of paths) {
    if (path === pathOf(given)) return given;
    const below = `${resolve(given)}${sep}`;
    if (given !== stdinName && path.startsWith(below)) return join(given, path.slice(below.length));
  }
  return undefined;
}
