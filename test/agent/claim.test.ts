// SPDX-License-Identifier: Apache-2.0
// One agent at a time, between real processes: who is refused is told by whom, and who takes over ends that one.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdminServer, type Handlers, openAdminServer } from '../../src/admin/server.ts';
import { claimRunDir, type FolderClaim, openFolderClaim } from '../../src/agent/claim.ts';
import { type Lock, takeLock } from '../../src/agent/lock.ts';
import { openLog } from '../../src/agent/log.ts';
import { flockHolder } from '../../src/kernel/flock-holder.ts';
import { sink } from '../support/sink.ts';

let root = '';
let pins = '';
let output: ReturnType<typeof sink>;
const children: ChildProcess[] = [];
const closers: (() => unknown)[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'km-claim-'));
  pins = join(root, 'pins');
  mkdirSync(pins);
  output = sink();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(root, { recursive: true, force: true });
});

/** A process that holds the lock on `path` until it ends. */
async function holder(path: string): Promise<ChildProcess> {
  const program = `
import fcntl, os, signal
fcntl.flock(os.open(${JSON.stringify(path)}, os.O_RDONLY), fcntl.LOCK_EX)
print('held', flush=True)
signal.pause()`;
  const child = spawn('python3', ['-c', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

const options = (takeOver = false) => ({ log: openLog(output, 'info', {}), takeOver });
function claim(takeOver = false): FolderClaim {
  const made = openFolderClaim(pins, options(takeOver));
  closers.push(made.close);
  return made;
}
async function own(takeOver: boolean): Promise<Lock> {
  const lock = await claimRunDir(root, options(takeOver));
  closers.push(lock.release);
  return lock;
}

describe('holder of a lock', () => {
  it('is named by its pid while it lives', async () => {
    expect(flockHolder(pins)).toBeUndefined();
    const child = await holder(pins);
    expect(flockHolder(pins)).toBe(child.pid);
    expect(flockHolder(root)).toBeUndefined();
    expect(flockHolder(join(root, 'nowhere'))).toBeUndefined();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(flockHolder(pins)).toBeUndefined();
  });
});

describe('claim of a folder of pins', () => {
  it('is refused with the pid named, and given once that process is gone', async () => {
    const child = await holder(pins);
    const mine = claim();
    await expect(mine.hold()).rejects.toMatchObject({
      code: 'KM_AGENT_RUNNING',
      message: `process ${child.pid} runs as the agent of the pins under "${pins}"`,
      hint: 'stop it, end it with --take-over, or choose another --bpffs',
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await mine.hold();
    expect(flockHolder(pins)).toBe(process.pid);
    await mine.hold();
    await expect(claim().hold()).rejects.toMatchObject({ code: 'KM_AGENT_RUNNING' });
  });

  it('ends the holder when it takes over', async () => {
    const child = await holder(pins);
    const exit = once(child, 'exit');
    await claim(true).hold();
    expect(await exit).toEqual([null, 'SIGTERM']);
    expect(output.text()).toContain('was sent SIGTERM');
  });

  it('follows a folder that was made anew, and has nothing to hold while there is none', async () => {
    const mine = claim();
    await mine.hold();
    rmdirSync(pins);
    await mine.hold();
    mkdirSync(pins);
    await claim().hold();
    await expect(mine.hold()).rejects.toMatchObject({ code: 'KM_AGENT_RUNNING' });
  });
});

describe('claim of a run directory', () => {
  const refuse = () => {
    throw new Error('not asked');
  };
  const handlers = (stop: () => void): Partial<Handlers> => ({
    ...{ status: refuse, ready: refuse, version: refuse, explain: refuse, log: refuse, reload: refuse },
    ...{ config: refuse, diff: refuse, authz: refuse, authzExplain: refuse },
    stop() {
      stop();
      return { pid: 7 };
    },
  });

  it('asks the agent that answers to end, and waits for its lock', async () => {
    const running = await takeLock(root, { name: 'agent.lock', command: 'kmeshctl agent' });
    let asked = 0;
    const server: AdminServer = await openAdminServer(
      root,
      handlers(() => {
        asked++;
        setTimeout(running.release, 100);
      }),
    );
    closers.push(() => server.close());
    await expect(own(false)).rejects.toMatchObject({ code: 'KM_AGENT_RUNNING' });
    expect(asked).toBe(0);
    await own(true);
    expect(asked).toBe(1);
  });

  it('signals one that does not answer', async () => {
    await takeLock(root, { name: 'agent.lock', command: 'kmeshctl agent' }).then(({ release }) => release());
    const child = await holder(join(root, 'agent.lock'));
    const exit = once(child, 'exit');
    await own(true);
    expect(await exit).toEqual([null, 'SIGTERM']);
    expect(output.text()).toContain('does not answer');
  });
});
