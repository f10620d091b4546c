// SPDX-License-Identifier: Apache-2.0
// Bytes by the hundred million that both sides can make, and hash.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

const blockSize = 65_536;

/** No two blocks are alike. */
function* blocks(n: number): Generator<Buffer> {
  for (let at = 0; at < n; at += blockSize) {
    const block = Buffer.alloc(Math.min(blockSize, n - at), `${at}.`);
    yield block;
  }
}

export const stream = (n: number): Readable => Readable.from(blocks(n), { objectMode: false });

export function hashOf(n: number): string {
  const hash = createHash('sha256');
  for (const block of blocks(n)) hash.update(block);
  return hash.digest('hex');
}

export interface Hashed {
  readonly bytes: number;
  readonly hash: string;
}

/** Reads a stream to its end. */
export async function hashed(from: AsyncIterable<Buffer>): Promise<Hashed> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of from) {
    bytes += part.length;
    hash.update(part);
  }
  return { bytes, hash: hash.digest('hex') };
}
