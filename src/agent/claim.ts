// SPDX-License-Identifier: Apache-2.0
// One agent for each run directory, and one for each folder of pins. Who takes over ends the one that runs; the data plane goes on meanwhile.
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { adminClient } from '../admin/client.ts';
import { KmeshError } from '../errors.ts';
import { tryExclusive } from '../kernel/flock.ts';
import { flockHolder } from '../kernel/flock-holder.ts';
import { type Lock, takeLock } from './lock.ts';
import { faultFacts, type Log } from './log.ts';

export interface ClaimOptions {
  readonly log: Log;
  /** End the agent that is in the way. */
  readonly takeOver: boolean;
}

/** Others who look for a holder take the lock for an instant. */
const instantMs = 250;
/** An agent that is told to end finishes what it writes, and the swap of a large map is the longest. */
const endingMs = 30_000;
const answerMs = 5_000;
const pollMs = 20;

const lockOptions = { name: 'agent.lock', command: 'kmeshctl agent' } as const;

/** @throws KmeshError KM_AGENT_RUNNING naming who holds it. */
export async function claimRunDir(runDir: string, { log, takeOver }: ClaimOptions): Promise<Lock> {
  try {
    return await takeLock(runDir, { ...lockOptions, waitMs: instantMs });
  } catch (fault) {
    if (!takeOver || !(fault instanceof KmeshError) || fault.code !== 'KM_AGENT_RUNNING') throw fault;
  }
  await endAgentOf(runDir, log);
  return takeLock(runDir, { ...lockOptions, waitMs: endingMs });
}

/** Asks on the socket; who does not answer there is sent a signal. */
async function endAgentOf(runDir: string, log: Log): Promise<void> {
  try {
    const { pid } = await adminClient(runDir, { timeoutMs: answerMs }).stop({});
    log.info({ pid }, 'the agent that runs was asked to end');
  } catch (fault) {
    log.warn(faultFacts(fault), 'the agent that runs does not answer');
    signalHolder(join(runDir, lockOptions.name), log);
  }
}

/** False: there is nobody to be signalled. */
function signalHolder(path: string, log: Log): boolean {
  const pid = flockHolder(path);
  if (pid === undefined) return false;
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    // It ended by itself right then: its lock is free.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
    throw error;
  }
  log.info({ pid }, 'the agent that runs was sent SIGTERM');
  return true;
}

/** The lock on a folder of pins. */
export interface FolderClaim {
  /**
   * Holds the folder that is there now; nothing when there is none. To be called again once it may have been made anew.
   * @throws KmeshError KM_AGENT_RUNNING naming who holds it.
   */
  hold(): Promise<void>;
  close(): void;
}

export function openFolderClaim(folder: string, { log, takeOver }: ClaimOptions): FolderClaim {
  let fd: number | undefined;
  const close = () => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  const within = async (ms: number, held: number): Promise<boolean> => {
    for (let left = ms; !tryExclusive(held); left -= pollMs) {
      if (left <= 0) return false;
      await pause(pollMs);
    }
    return true;
  };
  return {
    async hold() {
      if (fd !== undefined && isStill(fd, folder)) return;
      close();
      const next = openFolder(folder);
      if (next === undefined) return;
      fd = next;
      if (await within(instantMs, next)) return;
      if (takeOver && signalHolder(folder, log) && (await within(endingMs, next))) return;
      close();
      throw held(folder);
    },
    close,
  };
}

function openFolder(folder: string): number | undefined {
  try {
    return openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new KmeshError('KM_IO', `"${folder}" could not be opened: ${(cause as Error).message}`, { cause });
  }
}

function isStill(fd: number, folder: string): boolean {
  try {
    const [here, there] = [fstatSync(fd), statSync(folder)];
    return here.ino === there.ino && here.dev === there.dev;
  } catch {
    return false;
  }
}

function held(folder: string): KmeshError {
  const pid = flockHolder(folder);
  const who = pid === undefined ? 'another process' : `process ${pid}`;
  return new KmeshError('KM_AGENT_RUNNING', `${who} runs as the agent of the pins under "${folder}"`, {
    hint: 'stop it, end it with --take-over, or choose another --bpffs',
  });
}
