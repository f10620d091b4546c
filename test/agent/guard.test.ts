// SPDX-License-Identifier: Apache-2.0
// The agent's turns, its lock, and pins that somebody else swaps.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AgentPlane, type Guard, openGuard } from '../../src/agent/guard.ts';
import { lockHolder, takeLock } from '../../src/agent/lock.ts';
import { openMemory } from '../../src/kernel/memory.ts';

let runDir = '';
let guard: Guard;
let pinned: AgentPlane;
let closed = 0;

const plane = (): AgentPlane => {
  const made: AgentPlane = Object.assign(openMemory(), {
    isCurrent: () => made === pinned,
    close: () => {
      closed++;
    },
  });
  return made;
};

beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'km-guard-'));
  pinned = plane();
  closed = 0;
  guard = openGuard({ runDir, plane: pinned, reopen: async () => pinned, patienceMs: 100 });
});
afterEach(() => {
  guard.close();
  rmSync(runDir, { recursive: true, force: true });
});

describe('guard', () => {
  it('lets one piece of work in at a time, under the lock', async () => {
    const seen: string[] = [];
    const work = async (name: string) => {
      const { leave } = await guard.enter();
      seen.push(`${name} in, ${lockHolder(runDir, 'lock')?.command}`);
      await pause(5);
      seen.push(`${name} out`);
      leave();
    };
    await Promise.all([work('a'), work('b')]);
    expect(seen).toEqual(['a in, kmeshctl agent', 'a out', 'b in, kmeshctl agent', 'b out']);
    expect(lockHolder(runDir, 'lock')).toBeUndefined();
  });

  it('waits for a command, fails when it takes too long, and goes on afterwards', async () => {
    const other = await takeLock(runDir, { command: 'kmeshctl load' });
    const refused = guard.enter();
    await expect(refused).rejects.toMatchObject({ code: 'KM_BUSY', message: expect.stringContaining('kmeshctl load') });
    const waiting = guard.enter();
    setTimeout(() => other.release(), 30);
    (await waiting).leave();
  });

  it('opens the pins again when a command has swapped them', async () => {
    const before = pinned;
    (await guard.enter()).leave();
    const other = await takeLock(runDir, { command: 'kmeshctl upgrade' });
    pinned = plane();
    other.release();
    const entered = await guard.enter();
    expect(entered.plane).toBe(pinned);
    expect(entered.plane).not.toBe(before);
    expect(guard.plane).toBe(pinned);
    expect(closed).toBe(1);
    entered.leave();
  });

  it('goes on with what its own swap opened, and looks again after one that failed', async () => {
    const first = await guard.enter();
    const next = await guard.swap(async () => {
      pinned = plane();
      return pinned;
    });
    expect([guard.plane, closed]).toEqual([next, 1]);
    const failed = guard.swap(async () => {
      pinned = plane();
      throw new Error('opening failed');
    });
    await expect(failed).rejects.toThrow('opening failed');
    first.leave();
    const second = await guard.enter();
    expect(second.plane).toBe(pinned);
    second.leave();
  });

  it('keeps suspecting when the pins could not be looked at', async () => {
    const broken = openGuard({
      runDir,
      plane: pinned,
      reopen: async () => {
        throw new Error('not loaded');
      },
    });
    pinned = plane();
    await expect(broken.enter()).rejects.toThrow('not loaded');
    await expect(broken.enter()).rejects.toThrow('not loaded');
    expect(lockHolder(runDir, 'lock')).toBeUndefined();
    broken.close();
  });
});
