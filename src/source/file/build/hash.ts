// SPDX-License-Identifier: Apache-2.0
// 32 bits of a text, the same on every machine and in every run. For spreading only, not against anybody.

/** FNV-1a over UTF-16 units from `seed`, finished by a mix so that near texts lie far apart. */
export function textHash(text: string, seed: number): number {
  let h = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
