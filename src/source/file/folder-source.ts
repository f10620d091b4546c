// SPDX-License-Identifier: Apache-2.0
// Files and folders as a source: reads them, watches them, and tells what changes in the model and what is wrong with them.
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { stackOf } from '../../errors.ts';
import { equal } from '../../mesh/equal.ts';
import type { Change } from '../../mesh/model.ts';
import type { Report } from '../findings.ts';
import type { Source, Tell } from '../news.ts';
import { openResolution, type Resolver } from '../resolve.ts';
import { openRetelling } from '../retelling.ts';
import { systemResolver } from '../system-resolver.ts';
import { realTimers, type Timers } from '../timers.ts';
import { loadAddresses, saveAddresses } from './address-store.ts';
import { type AddressBook, openAddressBook } from './build/address-book.ts';
import { openBuilder } from './build/builder.ts';
import { openDebounce } from './debounce.ts';
import { type Folder, openFolder } from './folder.ts';
import { type LastGoodStore, openLastGood } from './last-good.ts';
import { readBytes } from './load.ts';
import { type FileContents, unreadable } from './read.ts';
import { openReader, type Reader } from './reader.ts';
import { stdinName } from './scan.ts';
import { orderOf } from './validate.ts';

export interface SourceLog {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface FolderSourceOptions {
  /** Files and folders in the order in which they count; '-' is `stdin`, read once to its end. */
  readonly paths: readonly string[];
  readonly stdin?: Readable;
  readonly log: SourceLog;
  /** Never inside another call. */
  readonly tell: Tell;
  /** Script of the thread that reads much at once (parse-worker.ts, built); without it everything is read here. */
  readonly thread?: URL;
  /** File that keeps automatic addresses over restarts; without it they follow from what is read first. */
  readonly addresses?: string;
  /** Folder that keeps over restarts what is in effect of documents that may be broken by then; without it that is lost. */
  readonly lastGood?: string;
  readonly resolver?: Resolver;
  readonly timers?: Timers;
}

export interface FolderSource extends Source {
  /** Resolves when everything was read once and told; host names may still be asked for. Rejects when it was closed before. */
  readonly loaded: Promise<void>;
}

/** How files and folders are called together. */
export function folderSourceName(paths: readonly string[]): string {
  return paths.map((path) => (path === stdinName ? '<stdin>' : path)).join(', ');
}

/**
 * So long after the last event an edit is over; but none waits longer than `patienceMs`. Who writes a file in place may pause in between, and half
 * a file would be taken for all of it; where files are moved into place only the next one is waited for.
 */
const writtenMs = 50;
const movedMs = 20;
const patienceMs = 300;
/** Looks again though nothing was heard: watches miss what happens behind mounts and on network file systems. */
const rescanMs = 60_000;
/** The same when a folder could not be watched. */
const deafMs = 2000;

export function openFolderSource(options: FolderSourceOptions): FolderSource {
  const { log, stdin } = options;
  const timers = options.timers ?? realTimers;
  const closing = new AbortController();
  const { signal } = closing;
  let report: Report | undefined;
  let parts: Promise<Parts> | undefined;

  interface Parts {
    readonly book: AddressBook;
    readonly folder: Folder;
    readonly kept: LastGoodStore | undefined;
    readonly reader: Reader;
    readonly builder: ReturnType<typeof openBuilder>;
    readonly resolution: ReturnType<typeof openResolution>;
    readonly stdin: FileContents | undefined;
  }

  const retelling = openRetelling({
    tell: options.tell,
    timers,
    report: () => report as Report,
    onLost: (error) => log.error({ fault: stackOf(error) }, 'what was read could not be taken up; it is told again'),
  });
  const tell = (changes: readonly Change[], { builder, folder }: Pick<Parts, 'builder' | 'folder'>) => {
    const next = folder.report(builder.warnings());
    const same = changes.length === 0 && report !== undefined && equal(report, next);
    if (signal.aborted || (same && !retelling.owes)) return;
    report = next;
    retelling.tell(changes);
  };

  const start = async (): Promise<Parts> => {
    const book = await openBook(options.addresses, log);
    const builder = openBuilder(book);
    const kept = await openKept(options, log);
    const folder = openFolder(kept?.found);
    const resolution = openResolution({
      resolver: options.resolver ?? systemResolver(),
      timers,
      onAnswer(hostname, addresses, fault) {
        if (fault !== undefined) log.warn({ hostname, fault }, 'host name is not resolved');
        const changes = builder.resolve(hostname, addresses, fault);
        if (addresses !== undefined) tell(changes, { builder, folder });
      },
    });
    signal.addEventListener('abort', () => resolution.close());
    const asked = stdin !== undefined && options.paths.includes(stdinName);
    const before = [...(kept?.found.keys() ?? [])].filter((name) => name !== stdinName);
    reader = openReader({
      paths: options.paths,
      before,
      thread: options.thread,
      timers,
      signal,
      onEvent: (whole) => edit.touch(whole ? movedMs : writtenMs),
      onFault: (path, error) => log.warn({ path, fault: String(error) }, 'folder cannot be watched'),
    });
    const given = asked ? readGiven(await buffer(stdin)) : undefined;
    return { book, folder, kept, reader, builder, resolution, stdin: given };
  };

  const pass = async (all: boolean) => {
    const first = parts === undefined;
    parts ??= start();
    const { book, folder, kept, reader, builder, resolution, stdin: given } = await parts;
    const { files, read } = await reader.look(all);
    if (signal.aborted) return;
    const updates = new Map(read);
    if (given && first) updates.set(stdinName, given);
    folder.order(orderOf(options.paths, files));
    const version = book.version;
    const changes = builder.update(folder.update(updates));
    if (book.version !== version && options.addresses !== undefined) {
      await saveAddresses(options.addresses, book).catch((error) => {
        log.warn({ path: options.addresses, fault: String(error) }, 'automatic addresses cannot be kept');
      });
    }
    if (kept && folder.lastGood) {
      await kept.save(folder.lastGood).catch((error) => {
        log.warn({ path: options.lastGood, fault: String(error) }, 'what is in effect cannot be kept over a restart');
      });
    }
    log.debug({ read: read.size, changes: changes.length }, 'looked at files');
    tell(changes, { builder, folder });
    resolution.want(builder.hostnames());
  };

  /** Passes run one after the other; asking again while one is due changes nothing. */
  let tail: Promise<void> = Promise.resolve();
  let due: { all: boolean; done: Promise<void> } | undefined;
  const run = (all: boolean): Promise<void> => {
    if (due) {
      due.all ||= all;
      return due.done;
    }
    const mine = { all, done: Promise.resolve() };
    due = mine;
    mine.done = tail.then(async () => {
      due = undefined;
      if (!signal.aborted) await pass(mine.all);
    });
    tail = mine.done.catch((error) => {
      log.error({ fault: stackOf(error) }, 'files cannot be taken in');
    });
    return mine.done;
  };

  const edit = openDebounce({
    timers,
    patienceMs,
    // What fails is in the log.
    run: () => void run(false).catch(() => {}),
  });
  let reader: Reader | undefined;

  let cancelRescan = () => {};
  const rescan = () => {
    cancelRescan = timers.after(reader?.hears ? rescanMs : deafMs, () => {
      void run(false)
        .catch(() => {})
        .then(() => signal.aborted || rescan());
    });
  };

  const loaded = run(false).then(() => {
    if (signal.aborted) throw new Error('closed before the files were read');
    rescan();
  });
  loaded.catch(() => {});

  return {
    name: folderSourceName(options.paths),
    loaded,
    reload: () => run(true),
    async close() {
      closing.abort();
      retelling.close();
      cancelRescan();
      edit.close();
      reader?.close();
      await tail;
      reader?.close();
    },
  };
}

/** What nobody wrote is no configuration: who is started again without what it was given at first would forget everything. */
function readGiven(bytes: Uint8Array): FileContents {
  return bytes.length === 0 ? unreadable(stdinName, 'is empty') : readBytes(stdinName, bytes);
}

async function openKept({ lastGood, paths }: FolderSourceOptions, log: SourceLog): Promise<LastGoodStore | undefined> {
  if (lastGood === undefined) return undefined;
  const lost = (path: string, error: unknown) =>
    log.warn({ path, fault: String(error) }, 'what was in effect before cannot be read');
  try {
    return await openLastGood(lastGood, paths, lost);
  } catch (error) {
    lost(lastGood, error);
    return undefined;
  }
}

/** The addresses of before; what cannot be read is left behind, with a warning. */
async function openBook(path: string | undefined, log: SourceLog): Promise<AddressBook> {
  try {
    return openAddressBook(path === undefined ? [] : await loadAddresses(path));
  } catch (error) {
    log.warn({ path, fault: String(error) }, 'automatic addresses of before cannot be read');
    return openAddressBook();
  }
}
