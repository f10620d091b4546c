// SPDX-License-Identifier: Apache-2.0
// Which sizes maps get when they fill up.
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { MapName } from '../../src/abi/maps.ts';
import { openGrowth } from '../../src/agent/growth.ts';
import { openLog } from '../../src/agent/log.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';
import { sink } from '../support/sink.ts';

const patience = { timeout: 20_000, interval: 5 };

function open(
  sizes: Partial<Record<MapName, number>>,
  grow: (sizes: MapSizes) => Promise<void> = async () => {},
  needed: Partial<Record<MapName, number>> = {},
) {
  const asked: MapSizes[] = [];
  const growth = openGrowth({
    log: openLog(sink(), 'silent', {}),
    now: () => 7,
    sizeOf: (map) => sizes[map] ?? 0,
    neededIn: (map) => needed[map] ?? 0,
    gatherMs: 5,
    againMs: 40,
    grow: async (next) => {
      asked.push(next);
      await grow(next);
    },
  });
  return { growth, asked };
}

describe('growth', () => {
  it('doubles all maps that ask within a moment by one swap', async () => {
    const { growth, asked } = open({ endpoint: 100, frontend: 50 });
    growth.ask('endpoint');
    growth.ask('frontend');
    growth.ask('endpoint');
    await vi.waitFor(() => expect(growth.done).not.toEqual([]), patience);
    expect(asked).toEqual([{ endpoint: 200, frontend: 100 }]);
    expect(growth.done).toEqual([
      { map: 'endpoint', from: 100, to: 200, at: 7 },
      { map: 'frontend', from: 50, to: 100, at: 7 },
    ]);
    await growth.close();
  });

  it('keeps the two maps of backend ids equal, without making the larger one smaller', async () => {
    const { growth, asked } = open({ backend: 64, robin: 256 });
    growth.ask('backend');
    await vi.waitFor(() => expect(asked).toEqual([{ backend: 128 }]), patience);
    await growth.close();
    const even = open({ backend: 64, robin: 64 });
    even.growth.ask('robin');
    await vi.waitFor(() => expect(even.asked).toEqual([{ robin: 128, backend: 128 }]), patience);
    await even.growth.close();
  });

  it('makes room for what was refused at once', async () => {
    const { growth, asked } = open({ endpoint: 32 }, undefined, { endpoint: 101 });
    growth.ask('endpoint');
    await vi.waitFor(() => expect(asked).toEqual([{ endpoint: 256 }]), patience);
    await growth.close();
  });

  it('stops at the largest size, tries a swap that failed again later, and does nothing once closed', async () => {
    const { growth, asked } = open({ name: 16_777_216, client: 9_000_000, cidr: 10 }, async () => {
      throw new Error('no memory');
    });
    growth.ask('name');
    await pause(30);
    expect(asked).toEqual([]);
    growth.ask('client');
    await vi.waitFor(() => expect(asked.length).toBeGreaterThanOrEqual(2), patience);
    expect(asked.slice(0, 2)).toEqual([{ client: 16_777_216 }, { client: 16_777_216 }]);
    expect(growth.done).toEqual([]);
    await growth.close();
    const before = asked.length;
    growth.ask('cidr');
    await pause(60);
    expect(asked).toHaveLength(before);
  });
});
