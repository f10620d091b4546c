// SPDX-License-Identifier: Apache-2.0
// What is heard of a folder, and how long an edit is waited for.
import { appendFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openDebounce } from '../../../src/source/file/debounce.ts';
import { openWatch } from '../../../src/source/file/watch.ts';
import { openHandTimers } from './hand-timers.ts';
import { folder } from './listening.ts';

test('only what was moved into place is whole', async () => {
  const path = folder();
  const file = join(path, 'a.yaml');
  const heard = new Map<string, boolean[]>();
  const watch = openWatch({
    onEvent: (at = '', whole) => void heard.set(at, [...(heard.get(at) ?? []), whole]),
    onFault: (_, error) => expect.unreachable(String(error)),
  });
  onTestFinished(() => watch.close());
  watch.set(new Map([[path, { stamp: '1', names: undefined }]]));
  /** Resolves when that was heard of the file. */
  const hears = async (whole: boolean, edit: () => void) => {
    heard.clear();
    edit();
    await vi.waitUntil(() => heard.get(file)?.includes(whole), { timeout: 30_000 });
  };
  await hears(false, () => writeFileSync(file, 'a: 1\n'));
  await hears(false, () => appendFileSync(file, 'b: 1\n'));
  writeFileSync(join(path, '.next'), 'a: 2\n');
  await vi.waitUntil(() => heard.has(join(path, '.next')), { timeout: 30_000 });
  await hears(true, () => renameSync(join(path, '.next'), file));
  await hears(false, () => unlinkSync(file));
});

test('of several touches the longest counts until it ran', () => {
  const timers = openHandTimers();
  let runs = 0;
  const debounce = openDebounce({ timers, patienceMs: 300, run: () => void runs++ });
  debounce.touch(20);
  timers.run(19);
  expect(runs).toBe(0);
  timers.run(1);
  expect(runs).toBe(1);
  debounce.touch(50);
  timers.run(10);
  debounce.touch(20);
  timers.run(49);
  expect(runs).toBe(1);
  timers.run(1);
  expect(runs).toBe(2);
  debounce.touch(20);
  timers.run(20);
  expect(runs).toBe(3);
  for (let i = 0; i < 29; i++) {
    debounce.touch(50);
    timers.run(10);
  }
  expect(runs).toBe(3);
  debounce.touch(50);
  timers.run(10);
  expect(runs).toBe(4);
});
