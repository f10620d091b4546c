// SPDX-License-Identifier: Apache-2.0
// Small files that somebody names (tokens, certificates, kubeconfigs): read without ever waiting for one that is none. Opening a pipe
// whose other end nobody holds takes for ever, and while it does the process can not even exit.
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { NotAFile } from './errors.ts';

/** Larger ones are refused. */
export const maxPlainBytes = 16 * 1024 * 1024;
const tooLarge = `is larger than ${maxPlainBytes >> 20} MiB`;
/** What was a file a moment ago may be a pipe by now. */
const flags = constants.O_RDONLY | constants.O_NONBLOCK;
/** Between two looks at a pipe. */
const lookMs = 10;
/** Of this very process: whoever started it with one writes to it. */
const descriptor = /^(\/dev\/stdin|\/(dev|proc\/self)\/fd\/\d+)$/;

/** What it is, when it is no file; "a pipe". */
export const nameOfKind = (at: Pick<Stats, 'isFIFO' | 'isSocket' | 'isDirectory'>): string =>
  at.isDirectory() ? 'a folder' : at.isFIFO() ? 'a pipe' : at.isSocket() ? 'a socket' : 'a device';

function requireFile(at: Stats): void {
  if (!at.isFile()) throw new NotAFile(`is ${nameOfKind(at)}, not a file`);
  if (at.size > maxPlainBytes) throw new NotAFile(tooLarge);
}

/** @throws NotAFile, or why it cannot be read; fileFault says it. */
export async function readPlainFile(path: string): Promise<Buffer> {
  // Before it is opened: for some devices that is an order.
  requireFile(await stat(path));
  const file = await open(path, flags);
  try {
    requireFile(await file.stat());
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** The same for who cannot wait. */
export function readPlainFileAtOnce(path: string): Buffer {
  requirePlainFile(path);
  const file = openSync(path, flags);
  try {
    requireFile(fstatSync(file));
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** For what somebody else is to read. @throws NotAFile, or why it cannot be looked at. */
export function requirePlainFile(path: string): void {
  requireFile(statSync(path));
}

/** Takes pipes, too, that this process was started with, as `<(COMMAND)` of a shell does; `signal` ends the wait for what is written there. */
export async function readFileOrPipe(path: string, signal: AbortSignal): Promise<Buffer> {
  if (!descriptor.test(path) || !(await stat(path)).isFIFO()) return readPlainFile(path);
  const file = await open(path, flags);
  try {
    return await readPipe(file, signal);
  } finally {
    await file.close();
  }
}

async function readPipe(file: FileHandle, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for (;;) {
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536, null);
      if (bytesRead === 0) return Buffer.concat(parts);
      parts.push(buffer.subarray(0, bytesRead));
      size += bytesRead;
      if (size > maxPlainBytes) throw new NotAFile(tooLarge);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await pause(lookMs, undefined, { signal });
    }
  }
}
