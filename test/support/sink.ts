// SPDX-License-Identifier: Apache-2.0
// A writable that keeps what it is given.
import { Writable } from 'node:stream';

export function sink(): Writable & { text(): string } {
  const parts: string[] = [];
  const out = new Writable({
    write(chunk, _encoding, done) {
      parts.push(String(chunk));
      done();
    },
  });
  return Object.assign(out, { text: () => parts.join('') });
}
