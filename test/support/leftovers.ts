// SPDX-License-Identifier: Apache-2.0
// What tests that were killed have left: removed by the next.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, removeLab } from '../../src/demo/lab.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';

const PATTERN = /^(km-test(?:-[a-z]+)?-(\d+))(?:-|$)/;

/** Name of a lab of this process: removeLeftovers() finds it once the process is gone. */
export const labName = (kind = ''): string => (kind ? `km-test-${kind}-${process.pid}` : `km-test-${process.pid}`);

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Removes the labs of processes that are gone. The names of those found. */
export async function removeLeftovers(): Promise<string[]> {
  const found = new Set<string>();
  for (const entry of [...entries('/run/netns'), ...entries(cgroupMount())]) {
    const match = PATTERN.exec(entry);
    if (match && !isAlive(Number(match[2]))) found.add(match[1] as string);
  }
  for (const name of found) await removeLab(name, join(cgroupMount(), name));
  return [...found];
}
