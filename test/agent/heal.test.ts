// SPDX-License-Identifier: Apache-2.0
// Rounds of self-heal: what they do, what they count, and when the next one comes.
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { sockFlag } from '../../src/abi/structs.ts';
import type { Difference } from '../../src/agent/drift.ts';
import { type Heal, type HealOptions, openHeal } from '../../src/agent/heal.ts';
import { openLog } from '../../src/agent/log.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { sink } from '../support/sink.ts';

let heal: Heal | undefined;
afterEach(() => heal?.close());

const output = sink();
const drift = (name: string, state: Difference['state'] = 'missing'): Difference => ({
  what: 'frontend',
  name,
  state,
  reason: '',
});

function open(more: Partial<HealOptions> = {}) {
  const plane = openMemory();
  heal = openHeal({
    interval: 0,
    now: () => 5,
    log: openLog(output, 'info', {}),
    repair: async () => [],
    prune: async () => 0,
    inside: (work) => work(plane),
    // biome-ignore lint/correctness/useYield: nothing to pause for
    *workloadLimit() {
      return 10;
    },
    lookAgainMs: 20,
    ...more,
  });
  return { heal, plane };
}

describe('self-heal', () => {
  it('counts what was repaired, but not what has no room', async () => {
    const { heal } = open({
      repair: async () => [drift('a'), drift('b', 'different'), drift('c', 'refused')],
      prune: async () => 2,
    });
    await heal.round();
    await heal.round();
    expect(heal.status()).toMatchObject({ comparisons: 2, repairedEntries: 4, removedEnrolments: 4, lastAt: 5 });
    expect(output.text()).toContain('"name":"a","state":"missing","msg":"drift repaired"');
  });

  it('corrects counts that stay wrong, and leaves those that were only on their way', async () => {
    const { heal, plane } = open();
    plane.map('active').put([
      [3, { connections: 2n }],
      [4, { connections: 1n }],
    ]);
    const round = heal.recount();
    await pause(5);
    const socket = {
      cookie: 1n,
      workload_id: 1,
      flags: sockFlag.counted,
      backend_id: 1,
      peer_workload_id: 4,
      service_id: 0,
    };
    plane.setSockets([socket]);
    await round;
    expect(plane.map('active').get(3)?.connections).toBe(0n);
    expect(plane.map('active').get(4)?.connections).toBe(1n);
    expect(heal.status().correctedCounts).toBe(1);
  });

  it('goes on with the rest when one part fails', async () => {
    const { heal } = open({
      repair: async () => {
        throw new Error('no kernel today');
      },
      prune: async () => 1,
    });
    await heal.round();
    expect(heal.status()).toMatchObject({ comparisons: 0, removedEnrolments: 1 });
    expect(output.text()).toContain('no kernel today');
  });

  it('comes again and again, and never after it was closed', async () => {
    let rounds = 0;
    const { heal } = open({
      interval: 10,
      repair: async () => {
        rounds++;
        return [];
      },
    });
    heal.start();
    await vi.waitFor(() => expect(rounds).toBeGreaterThanOrEqual(3), { timeout: 20_000 });
    await heal.close();
    const before = rounds;
    await pause(50);
    expect(rounds).toBe(before);
  });
});
