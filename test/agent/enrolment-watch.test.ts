// SPDX-License-Identifier: Apache-2.0
// Enrolments made or ended by commands are noticed while the agent runs.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type EnrolmentWatch, watchEnrolments } from '../../src/agent/enrolment-watch.ts';
import { openLog } from '../../src/agent/log.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';

let plane: MemoryDataPlane;
let watch: EnrolmentWatch | undefined;
let told: number;
let log: string;

beforeEach(() => {
  vi.useFakeTimers();
  plane = openMemory();
  told = 0;
  log = '';
});
afterEach(() => {
  watch?.close();
  vi.useRealTimers();
});

const said = {
  write(text: string) {
    log += text;
  },
};
function start(): void {
  watch = watchEnrolments({
    plane: () => plane,
    changed: () => void told++,
    log: openLog(said, 'warn', {}),
    everyMs: 10,
  });
}
const bump = (epoch: bigint) => plane.map('level').put([[0, { mask: 0n, epoch, filter: new Array(64).fill(0n) }]]);

test('each change is told once; nothing is told where nothing was ever enrolled', () => {
  start();
  vi.advanceTimersByTime(50);
  expect(told).toBe(0);
  bump(2n);
  vi.advanceTimersByTime(50);
  expect(told).toBe(1);
  bump(4n);
  vi.advanceTimersByTime(10);
  expect(told).toBe(2);
});

test('what was enrolled before is told at the first look', () => {
  bump(6n);
  start();
  vi.advanceTimersByTime(10);
  expect(told).toBe(1);
});

test('pins that cannot be read are told of once, and looked at again', () => {
  start();
  const map = plane.map.bind(plane);
  plane.map = () => {
    throw new Error('no pins');
  };
  vi.advanceTimersByTime(50);
  expect(log.match(/enrolments cannot be read/g)).toHaveLength(1);
  plane.map = map;
  bump(2n);
  vi.advanceTimersByTime(10);
  expect(told).toBe(1);
});
