// SPDX-License-Identifier: Apache-2.0
// Locks in the run directory: `lock` while something is changed, `agent.lock` for an agent's life. The kernel frees a dead holder's.
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { KmeshError } from '../errors.ts';
import { tryExclusive, unlock } from '../kernel/flock.ts';
import { makeRunDir } from '../make-folder.ts';

export type LockName = 'lock' | 'agent.lock';

export interface Holder {
  readonly pid: number;
  /** "kmeshctl upgrade"; '' when it cannot be told. */
  readonly command: string;
}

export interface Lock {
  readonly path: string;
  release(): void;
}

export interface LockOptions {
  readonly name?: LockName;
  /** What others are told holds it, e.g. "kmeshctl load". */
  readonly command: string;
  /** How long to wait for another holder; default 5 s. */
  readonly waitMs?: number;
}

const usualWaitMs = 5_000;
/** Between two tries: a holder is seldom longer than a few milliseconds. */
const pollMs = 20;

/**
 * Takes the lock, waiting for whoever holds it.
 * @throws KmeshError KM_BUSY naming the holder's pid and command when the time is over (KM_AGENT_RUNNING for `agent.lock`).
 */
export async function takeLock(runDir: string, options: LockOptions): Promise<Lock> {
  const name = options.name ?? 'lock';
  const lock = openLock(runDir, name);
  let left = options.waitMs ?? usualWaitMs;
  while (!lock.tryTake(options.command)) {
    if (left <= 0) {
      lock.close();
      throw busy(runDir, name);
    }
    await pause(Math.min(pollMs, left));
    left -= pollMs;
  }
  return { path: lock.path, release: lock.close };
}

/** Runs `work` while holding `lock`. */
export async function withLock<T>(runDir: string, options: LockOptions, work: () => T | Promise<T>): Promise<T> {
  const lock = await takeLock(runDir, options);
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** Who holds it now, or undefined. Looking takes it for an instant, so takers should be ready to wait a little. */
export function lockHolder(runDir: string, name: LockName): Holder | undefined {
  let fd: number;
  try {
    fd = openSync(join(runDir, name), 'r');
  } catch {
    return undefined;
  }
  try {
    return tryExclusive(fd) ? undefined : readHolder(runDir, name);
  } finally {
    closeSync(fd);
  }
}

/** A lock taken and given back many times by one process: the agent's way of writing. */
export interface OpenLock {
  readonly path: string;
  /** True: held. Opens the file anew when somebody removed or replaced it. */
  tryTake(command: string): boolean;
  /** True when, before the last take, another process had it (or nobody). */
  readonly changedHands: boolean;
  release(): void;
  /** Releases and closes. */
  close(): void;
}

export function openLock(runDir: string, name: LockName): OpenLock {
  const path = join(runDir, name);
  let fd = -1;
  let changedHands = true;
  const close = () => {
    if (fd >= 0) closeSync(fd);
    fd = -1;
  };
  const open = () => {
    makeRunDir(runDir);
    try {
      fd = openSync(path, 'a+', 0o600);
    } catch (cause) {
      throw new KmeshError('KM_IO', `lock "${path}" could not be opened: ${(cause as Error).message}`, { cause });
    }
  };
  return {
    path,
    get changedHands() {
      return changedHands;
    },
    tryTake(command) {
      if (fd < 0) open();
      if (!tryExclusive(fd)) return false;
      if (!sameFile(fd, path)) {
        // Whoever comes now locks another file than this one: begin again with theirs.
        close();
        open();
        if (!tryExclusive(fd) || !sameFile(fd, path)) return false;
      }
      const mine = `${process.pid} ${command}\n`;
      changedHands = readFrom(fd) !== mine;
      if (changedHands) sign(fd, mine);
      return true;
    },
    release: () => {
      if (fd >= 0) unlock(fd);
    },
    close,
  };
}

/** Who holds it, for others to read. Where the disk is full they find nobody's name, and the lock holds all the same. */
function sign(fd: number, text: string): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

function readFrom(fd: number): string {
  const bytes = Buffer.alloc(512);
  return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
}

function sameFile(fd: number, path: string): boolean {
  try {
    const there = statSync(path);
    const here = fstatSync(fd);
    return there.ino === here.ino && there.dev === here.dev;
  } catch {
    return false;
  }
}

function readHolder(runDir: string, name: LockName): Holder {
  const match = /^(\d+) (.*)\n$/.exec(readFileSync(join(runDir, name), 'utf8'));
  return match ? { pid: Number(match[1]), command: match[2] as string } : { pid: 0, command: '' };
}

function busy(runDir: string, name: LockName): KmeshError {
  const path = join(runDir, name);
  const holder = lockHolder(runDir, name);
  const who = holder && holder.pid > 0 ? `process ${holder.pid} (${holder.command})` : 'another process';
  return name === 'agent.lock'
    ? new KmeshError('KM_AGENT_RUNNING', `${who} runs as the agent of "${runDir}"`, {
        hint: 'stop it, or end it with --take-over; one beside it needs its own --run-dir, --bpffs and --cgroup-root',
      })
    : new KmeshError('KM_BUSY', `${who} holds "${path}"`, { hint: 'try again when it has finished' });
}
