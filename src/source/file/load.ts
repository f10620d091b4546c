// SPDX-License-Identifier: Apache-2.0
// Files -> what they say, here or, when there is much to read, in threads of their own whose memory goes with them, or both.
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { fileFault } from '../../errors.ts';
import { lineIndex } from '../findings.ts';
import { type FileContents, readFileText, unreadable } from './read.ts';
import { type FoundFile, isGone } from './scan.ts';
import { openShare, type Share } from './share.ts';

/** From this many bytes on, a batch is read in a thread: below, starting one costs more than it saves. */
export const threadFromBytes = 256 * 1024;
/** The same at first, when nobody waits for this thread yet: a new one takes 0.2 CPU seconds until its code is fast. No file may be large by itself. */
const firstThreadFromBytes = 4 * 1024 * 1024;
/** From this many on, a thread reads from the other end of what is read here. */
const sharedFromBytes = 1024 * 1024;
/** From this many on, a second thread takes half of them, where there is a processor for it. */
const secondThreadFromBytes = firstThreadFromBytes;
/** Larger files are refused: their text would not fit beside what is made of it. */
export const maxFileBytes = 256 * 1024 * 1024;
const tooLarge = `is larger than ${maxFileBytes >> 20} MiB`;

/** What a thread is told, and what it answers for each file; then undefined. */
export type ThreadTask = readonly Pick<FoundFile, 'name' | 'path'>[];
export type ThreadAnswer = readonly [name: string, contents: FileContents | undefined] | undefined;

/** Contents of bytes. */
export function readBytes(name: string, bytes: Uint8Array): FileContents {
  if (bytes.length > maxFileBytes) return unreadable(name, tooLarge);
  const text = new TextDecoder('utf-8').decode(bytes);
  if (isUtf8(bytes)) return readFileText(name, text);
  const at = lineIndex(text)(Math.max(text.indexOf('\ufffd'), 0));
  const { faults, ...rest } = unreadable(name, 'is not UTF-8');
  return { ...rest, faults: faults.map((fault) => ({ ...fault, ...at })) };
}

/** Contents of a file; undefined when it does not exist. */
async function readPath(name: string, path: string): Promise<FileContents | undefined> {
  try {
    return readBytes(name, await readFile(path));
  } catch (error) {
    return unread(name, error);
  }
}

/** The same for who has nothing else to do meanwhile: a third less time. */
export function readPathAtOnce(name: string, path: string): FileContents | undefined {
  try {
    return readBytes(name, readFileSync(path));
  } catch (error) {
    return unread(name, error);
  }
}

const unread = (name: string, error: unknown): FileContents | undefined =>
  isGone(error) ? undefined : unreadable(name, fileFault(error));

/**
 * Reads files. `thread`: the script to run as a thread; undefined: never. Aborting stops it with what is read so far. `isFirst`: nothing was
 * read before.
 */
export async function loadFiles(
  all: readonly FoundFile[],
  thread: URL | undefined,
  signal: AbortSignal,
  isFirst = true,
): Promise<Map<string, FileContents | undefined>> {
  const files = all.filter(({ size }) => size <= maxFileBytes);
  const found = await load(files, thread, signal, isFirst);
  // Not even its bytes are to be in memory.
  for (const { name, size } of all) if (size > maxFileBytes) found.set(name, unreadable(name, tooLarge));
  return files.length === all.length ? found : inOrder(all, found);
}

async function load(
  files: readonly FoundFile[],
  thread: URL | undefined,
  signal: AbortSignal,
  isFirst: boolean,
): Promise<Map<string, FileContents | undefined>> {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  const small = isFirst && files.every((file) => file.size < threadFromBytes);
  if (thread !== undefined && bytes >= (small ? firstThreadFromBytes : threadFromBytes)) {
    const threads = bytes >= secondThreadFromBytes ? Math.min(2, availableParallelism(), files.length) : 1;
    return loadInThreads(files, threads, thread, signal);
  }
  const share = openShare();
  const isShared = thread !== undefined && bytes >= sharedFromBytes && availableParallelism() > 1;
  const found = new Map<string, FileContents | undefined>();
  const other = isShared ? readFromEnd(files, found, share, thread) : undefined;
  for (const { name, path } of files) {
    // From here on the other one was.
    if (signal.aborted || found.has(name)) break;
    const contents = await readPath(name, path);
    found.set(name, shared(contents, share));
  }
  void other?.terminate();
  return inOrder(files, found);
}

/** A thread that reads `files` from the last one on, into `found`, until it is stopped. If it fails, there is whoever reads from the first one on. */
function readFromEnd(
  files: readonly FoundFile[],
  found: Map<string, FileContents | undefined>,
  share: Share,
  thread: URL,
): Worker {
  const worker = new Worker(thread, { workerData: taskOf([...files].reverse()) });
  worker.on('message', (answer: ThreadAnswer) => {
    if (answer && !found.has(answer[0])) found.set(answer[0], shared(answer[1], share));
  });
  worker.on('error', () => {});
  return worker;
}

const taskOf = (files: readonly FoundFile[]): ThreadTask => files.map(({ name, path }) => ({ name, path }));

/** In the order of the files, whoever read them. */
function inOrder(files: readonly FoundFile[], found: ReadonlyMap<string, FileContents | undefined>) {
  return new Map(files.filter(({ name }) => found.has(name)).map(({ name }) => [name, found.get(name)]));
}

function shared(contents: FileContents | undefined, share: Share): FileContents | undefined {
  return contents && { ...contents, objects: contents.objects.map(share) };
}

/** The files in so many parts with about as many bytes each. */
function inParts<T extends { readonly size: number }>(files: readonly T[], parts: number): readonly (readonly T[])[] {
  const out = Array.from({ length: parts }, () => ({ bytes: 0, files: [] as T[] }));
  for (const file of [...files].sort((a, b) => b.size - a.size)) {
    const least = out.reduce((a, b) => (b.bytes < a.bytes ? b : a));
    least.bytes += file.size;
    least.files.push(file);
  }
  return out.map((part) => part.files);
}

async function loadInThreads(
  files: readonly FoundFile[],
  threads: number,
  thread: URL,
  signal: AbortSignal,
): Promise<Map<string, FileContents | undefined>> {
  const share = openShare();
  const parts = inParts(files, threads);
  const found = new Map<string, FileContents | undefined>();
  const read = await Promise.all(parts.map((part) => loadInThread(part, share, thread, signal)));
  for (const one of read) for (const [name, contents] of one) found.set(name, contents);
  return inOrder(files, found);
}

function loadInThread(
  files: readonly FoundFile[],
  share: Share,
  thread: URL,
  signal: AbortSignal,
): Promise<Map<string, FileContents | undefined>> {
  const out = new Map<string, FileContents | undefined>();
  return new Promise((done) => {
    const worker = new Worker(thread, { workerData: taskOf(files) });
    const stop = () => void worker.terminate();
    const finish = (fault: string) => {
      signal.removeEventListener('abort', stop);
      // What it did not come to is refused, so that nothing is taken for gone.
      for (const { name } of files) if (!out.has(name) && !signal.aborted) out.set(name, unreadable(name, fault));
      done(out);
    };
    let fault = 'cannot be read: the reading thread ended early';
    worker.on('message', (answer: ThreadAnswer) => {
      if (answer) out.set(answer[0], shared(answer[1], share));
    });
    worker.on('error', (error) => {
      fault = `cannot be read: ${error.message}`;
    });
    worker.on('exit', () => finish(fault));
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
  });
}
