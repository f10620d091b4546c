// SPDX-License-Identifier: Apache-2.0
// What is built is told only where it differs from what was told before.
import { equal } from '../../../mesh/equal.ts';

/** Puts `next` in its place (undefined: nothing is there). @returns false: the same was there, and stays. */
export function replaceChanged<V>(values: Map<string, V>, key: string, next: V | undefined): boolean {
  if (next === undefined) return values.delete(key);
  const before = values.get(key);
  if (before !== undefined && equal(before, next)) return false;
  values.set(key, next);
  return true;
}
