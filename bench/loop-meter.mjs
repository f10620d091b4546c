// SPDX-License-Identifier: Apache-2.0
// Loaded before the agent by benchmarks: at SIGUSR2 writes the longest hold-up of the event loop since the last time, in milliseconds.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

const file = process.env.KMESH_LOOP_METER;
const everyMs = 1;
/** Nanoseconds that the main thread was ready to run and had no CPU: the neighbours' doing. */
const waited = () => Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6;

if (file !== undefined) {
  let last = performance.now();
  let lastWaited = waited();
  let longest = 0;
  setInterval(() => {
    const now = performance.now();
    const gap = now - last - everyMs;
    last = now;
    // Asked only when it matters: it is a system call.
    if (gap <= longest) return;
    const nowWaited = waited();
    longest = Math.max(longest, gap - (nowWaited - lastWaited));
    lastWaited = nowWaited;
  }, everyMs).unref();
  process.on('SIGUSR2', () => {
    writeFileSync(`${file}.new`, String(longest));
    renameSync(`${file}.new`, file);
    longest = 0;
  });
}
