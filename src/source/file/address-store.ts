// SPDX-License-Identifier: Apache-2.0
// The book of automatic addresses in a file, so that a restart gives the same ones.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { parseAddress } from '../../net/address.ts';
import type { AddressBook, Assigned } from './build/address-book.ts';
import { isGone } from './scan.ts';

/** Entries of the file; none when it does not exist. Throws when it cannot be read or says something else. */
export async function loadAddresses(path: string): Promise<[string, Assigned][]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
  const entries = Object.entries(JSON.parse(text) as Record<string, unknown>);
  return entries.map(([key, value]) => {
    const [v4, v6] = Array.isArray(value)
      ? value.map((v) => (typeof v === 'string' ? parseAddress(v) : undefined))
      : [];
    if (v4 === undefined || v6 === undefined) throw new Error(`"${path}" has no two addresses for "${key}"`);
    return [key, { v4, v6 }];
  });
}

/** Replaces the file in one step. */
export async function saveAddresses(path: string, book: AddressBook): Promise<void> {
  const entries = [...book.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify(Object.fromEntries(entries.map(([key, { v4, v6 }]) => [key, [v4, v6]])), null, 1);
  await writeFile(`${path}.next`, `${text}\n`, { mode: 0o600 });
  await rename(`${path}.next`, path);
}
