// SPDX-License-Identifier: Apache-2.0
// Which files there are, and what to watch to learn of changes. Only looks; reads nothing.
import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileFault } from '../../errors.ts';
import { nameOfKind } from '../../plain-file.ts';

export interface FoundFile {
  /** As complaints name it: the path given, or the path below the folder given. */
  readonly name: string;
  readonly path: string;
  /** Behind links. */
  readonly real: string;
  /** Which of the paths given led to it. */
  readonly root: number;
  /** Differs when the file does: device, inode, size and times. */
  readonly stamp: string;
  readonly size: number;
}

/** A folder to watch. */
export interface Watched {
  /** Another folder at the same path has another one. */
  readonly stamp: string;
  /** Only these entries matter; undefined: all. */
  readonly names: ReadonlySet<string> | undefined;
}

export interface Scan {
  /** In the order in which they count: as given, inside folders by name. */
  readonly files: readonly FoundFile[];
  readonly folders: ReadonlyMap<string, Watched>;
  /** Paths that could not be looked at. Of a folder that could not be listed nothing is known: what was below it may still be there. */
  readonly faults: readonly ScanFault[];
}

export interface ScanFault {
  readonly name: string;
  readonly path: string;
  /** It does not exist, and that is all there is to know. */
  readonly gone: boolean;
  readonly reason: string;
}

/** Names the standard input where paths are given. */
export const stdinName = '-';

const endings = /\.(ya?ml|json)$/i;

interface Options {
  /** Pipes that are given are read, too: by who reads once, and may wait for whoever writes. */
  readonly pipes?: boolean;
}

/** Looks at files and folders (with all below them). Hidden entries, and in folders files that are no .yaml, .yml or .json, are passed over. */
export async function scanPaths(paths: readonly string[], { pipes = false }: Options = {}): Promise<Scan> {
  const files: FoundFile[] = [];
  const folders = new Map<string, { stamp: string; names: Set<string> | undefined }>();
  const faults: ScanFault[] = [];
  const fail = (name: string, path: string, error: unknown) => {
    faults.push({ name, path, gone: isGone(error), reason: fileFault(error) });
  };
  /** Reading these may never end, and the second time gives something else. */
  const refuse = (name: string, path: string, at: BigIntStats) => {
    faults.push({ name, path, gone: false, reason: `is ${nameOfKind(at)}, not a file` });
  };
  const seen = new Set<string>();

  const watch = async (path: string, name?: string) => {
    const known = folders.get(path);
    if (known) {
      if (name === undefined) known.names = undefined;
      else known.names?.add(name);
      return;
    }
    const at = await stat(path, { bigint: true }).catch(() => undefined);
    if (at)
      folders.set(path, { stamp: `${at.dev}:${at.ino}`, names: name === undefined ? undefined : new Set([name]) });
  };

  const add = async (root: number, name: string, path: string, at: BigIntStats, link: boolean) => {
    const id = `${at.dev}:${at.ino}`;
    // The same file by two ways counts once.
    if (seen.has(id)) return;
    seen.add(id);
    const real = link ? await realpath(path).catch(() => path) : path;
    const stamp = `${id}:${at.size}:${at.mtimeNs}:${at.ctimeNs}`;
    files.push({ name, path, real, root, stamp, size: Number(at.size) });
    if (real !== path) await watch(dirname(real), basename(real));
  };

  const walk = async (root: number, name: string, path: string, at: BigIntStats): Promise<void> => {
    const id = `${at.dev}:${at.ino}`;
    if (seen.has(id)) return;
    seen.add(id);
    let entries: Dirent[];
    try {
      entries = await readdir(path, { withFileTypes: true });
    } catch (error) {
      // A folder below that went while we looked is simply gone.
      if (path === resolve(paths[root] as string) || !isGone(error)) fail(name, path, error);
      return;
    }
    await watch(path);
    const wanted = entries.filter((e) => !e.name.startsWith('.') && (!e.isFile() || endings.test(e.name)));
    wanted.sort((a, b) => (a.name < b.name ? -1 : 1));
    const stats = await Promise.all(
      wanted.map((entry) =>
        stat(join(path, entry.name), { bigint: true }).catch((error) => {
          // What went while we looked is simply gone; a link that leads nowhere is a mistake.
          const matters = endings.test(entry.name) && (entry.isSymbolicLink() || !isGone(error));
          if (matters) fail(join(name, entry.name), join(path, entry.name), error);
        }),
      ),
    );
    for (const [i, entry] of wanted.entries()) {
      const below = stats[i];
      const at = [root, join(name, entry.name), join(path, entry.name)] as const;
      if (below?.isDirectory()) await walk(...at, below);
      else if (below && endings.test(entry.name)) {
        if (below.isFile()) await add(...at, below, entry.isSymbolicLink());
        else refuse(at[1], at[2], below);
      }
    }
  };

  for (const [root, name] of paths.entries()) {
    if (name === stdinName) continue;
    const path = resolve(name);
    // The entry itself may be swapped for another: its folder tells.
    await watch(dirname(path), basename(path));
    try {
      const at = await stat(path, { bigint: true });
      if (at.isDirectory()) await walk(root, name, path, at);
      else if (at.isFile() || (pipes && at.isFIFO())) await add(root, name, path, at, true);
      else refuse(name, path, at);
    } catch (error) {
      fail(name, path, error);
    }
  }
  return { files, folders, faults };
}

export function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
