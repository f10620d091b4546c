// SPDX-License-Identifier: Apache-2.0
// What differs on disk since the last look, read: only files that are new, that changed, or that something was heard of.
import { basename, resolve, sep } from 'node:path';
import type { Timers } from '../timers.ts';
import { loadFiles } from './load.ts';
import { type FileContents, unreadable } from './read.ts';
import { type FoundFile, type Scan, scanPaths } from './scan.ts';
import { openWatch } from './watch.ts';

export interface Reader {
  /** Looks once. `all`: reads every file again. */
  look(all: boolean): Promise<Look>;
  /** False when changes may go unheard. */
  readonly hears: boolean;
  close(): void;
}

export interface Look {
  /** Every file, in the order in which they count, with the index of the path that led to it. */
  readonly files: readonly { readonly name: string; readonly root: number }[];
  /** What was read; undefined: the file is gone. */
  readonly read: ReadonlyMap<string, FileContents | undefined>;
}

interface Options {
  readonly paths: readonly string[];
  /** Files that were there when somebody looked before: told to be gone when they are. */
  readonly before?: Iterable<string>;
  readonly thread: URL | undefined;
  readonly timers: Timers;
  readonly signal: AbortSignal;
  /** Something may have changed: look. `whole`: it was put there in one step, so nobody is writing it any more. */
  readonly onEvent: (whole: boolean) => void;
  readonly onFault: (path: string, error: unknown) => void;
}

/** A file that turns empty is probably about to be written: its objects stay this long. */
const emptyMs = 1000;

export function openReader({ paths, before = [], thread, timers, signal, onEvent, onFault }: Options): Reader {
  let known = new Map([...before].map((name) => [name, filedBefore(name, paths)]));
  let isFirst = true;
  let faulted = new Map<string, string>();
  /** Paths of entries that something happened to: read whatever their stamp says, as times are coarse. */
  let heard = new Set<string>();
  /** Paths of files, and of those behind links. */
  let inUse: ReadonlySet<string> = new Set();
  /** Files seen empty: waiting to be believed, or believed. */
  const empty = new Map<string, 'waiting' | 'believed'>();
  const watch = openWatch({
    onEvent(path, whole) {
      if (path !== undefined) heard.add(path);
      // What is hidden is written there to be moved into place later, unless a link leads to it.
      onEvent(whole || (path !== undefined && basename(path).startsWith('.') && !inUse.has(path)));
    },
    onFault,
  });

  /** Scans until nothing new had to be watched, so that no change falls between looking and watching. */
  const scan = async (): Promise<Scan> => {
    let found = await scanPaths(paths);
    if (watch.set(found.folders) > 0) {
      found = await scanPaths(paths);
      watch.set(found.folders);
    }
    return found;
  };

  /** True when a file that had something in it is to be left as it was for now. */
  const holds = (file: FoundFile, before: FoundFile | undefined): boolean => {
    if (file.size > 0) empty.delete(file.name);
    if (file.size > 0 || !before || before.size === 0 || empty.get(file.name) === 'believed') return false;
    if (!empty.has(file.name)) {
      empty.set(file.name, 'waiting');
      timers.after(emptyMs, () => {
        if (!empty.has(file.name)) return;
        empty.set(file.name, 'believed');
        onEvent(true);
      });
    }
    return true;
  };

  return {
    async look(all) {
      const events = heard;
      heard = new Set();
      const found = await scan();
      const next = new Map<string, FoundFile>();
      const toRead: FoundFile[] = [];
      for (const file of found.files) {
        const before = known.get(file.name);
        if (holds(file, before)) {
          next.set(file.name, before as FoundFile);
          continue;
        }
        next.set(file.name, file);
        const same = before?.stamp === file.stamp && !events.has(file.path) && !events.has(file.real);
        if (!same || all) toRead.push(file);
      }
      const read = await loadFiles(toRead, thread, signal, isFirst);
      isFirst = false;
      for (const [name, contents] of read) if (contents === undefined) next.delete(name);
      for (const [name, file] of known) {
        if (next.has(name)) continue;
        if (found.faults.some((fault) => isBelow(file.path, fault.path) || (file.path === fault.path && !fault.gone))) {
          next.set(name, file);
        } else read.set(name, undefined);
      }
      const faults = new Map<string, string>();
      for (const { name, gone, reason } of found.faults) {
        faults.set(name, reason);
        if (faulted.get(name) === reason) continue;
        const contents = unreadable(name, reason);
        read.set(name, gone ? { ...contents, rejected: [] } : contents);
      }
      for (const name of faulted.keys()) if (!faults.has(name) && !next.has(name)) read.set(name, undefined);
      known = next;
      inUse = new Set([...next.values()].flatMap(({ path, real }) => [path, real]));
      faulted = faults;
      return { files: [...next.values()], read };
    },
    get hears() {
      return watch.complete;
    },
    close: () => watch.close(),
  };
}

/** Not as it is now, whatever that is. */
function filedBefore(name: string, paths: readonly string[]): FoundFile {
  const path = resolve(name);
  const root = paths.findIndex((given) => given === name || path.startsWith(`${resolve(given)}${sep}`));
  return { name, path, real: path, root, stamp: '', size: 1 };
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
