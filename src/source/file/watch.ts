// SPDX-License-Identifier: Apache-2.0
// Watches folders and says which entry something happened to. One watch a folder: what is below has its own.
import { type FSWatcher, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { Watched } from './scan.ts';

export interface Watch {
  /** Watches these folders and no others. @returns how many were not watched before. */
  set(folders: ReadonlyMap<string, Watched>): number;
  /** False when a folder could not be watched: then only looking again finds out. */
  readonly complete: boolean;
  close(): void;
}

interface Options {
  /** `path` of the entry; undefined when the system does not say. `whole`: what is there now was put there in one step. */
  readonly onEvent: (path: string | undefined, whole: boolean) => void;
  readonly onFault: (path: string, error: unknown) => void;
}

interface Open {
  readonly stamp: string;
  names: ReadonlySet<string> | undefined;
  /** Undefined: it could not be opened. */
  watcher: FSWatcher | undefined;
}

export function openWatch({ onEvent, onFault }: Options): Watch {
  const open = new Map<string, Open>();
  const fail = (path: string, entry: Open, error: unknown) => {
    entry.watcher?.close();
    entry.watcher = undefined;
    onFault(path, error);
  };
  return {
    set(folders) {
      let added = 0;
      for (const [path, entry] of open) {
        // Another folder may have taken its place: the old watch is of the old one. What failed is tried again.
        if (entry.watcher && folders.get(path)?.stamp === entry.stamp) continue;
        entry.watcher?.close();
        open.delete(path);
      }
      for (const [path, { stamp, names }] of folders) {
        const known = open.get(path);
        if (known) {
          known.names = names;
          continue;
        }
        const entry: Open = { stamp, names, watcher: undefined };
        open.set(path, entry);
        try {
          entry.watcher = watch(path, { persistent: false }, (event, name) => {
            if (name === null) onEvent(undefined, false);
            else if (entry.names === undefined || entry.names.has(name)) {
              const at = join(path, name);
              onEvent(at, event === 'rename' && isThere(at));
            }
          });
          entry.watcher.on('error', (error) => fail(path, entry, error));
          added++;
        } catch (error) {
          fail(path, entry, error);
        }
      }
      return added;
    },
    get complete() {
      for (const { watcher } of open.values()) if (!watcher) return false;
      return true;
    },
    close() {
      for (const { watcher } of open.values()) watcher?.close();
      open.clear();
    },
  };
}

/** False of what left, perhaps for something that is written next, and of a file that was only just made. */
function isThere(path: string): boolean {
  const at = statSync(path, { throwIfNoEntry: false });
  return at !== undefined && (!at.isFile() || at.size > 0);
}
