// SPDX-License-Identifier: Apache-2.0
// The ring of denied connections: programs wake nobody, so it is read when somebody asks.
import { denialRecord } from '../abi/structs.ts';
import { KmeshError } from '../errors.ts';
import type { Denial } from './dataplane.ts';
import { failure, libbpf, type Pointer } from './libbpf.ts';

export interface Denials {
  /** All that came since the last time. */
  drain(): Denial[];
  close(): void;
}

const fault = (what: string, errno: string) => new KmeshError('KM_MAP', `map "denials": ${what} failed: ${errno}`);

/** Opens nothing before the first drain(): who only looks at maps must not take what the agent tells of. */
export function openDenials(ringFd: () => number): Denials {
  const bpf = libbpf();
  let found: Denial[] = [];
  let opened: { readonly ring: Pointer; release(): void } | undefined;
  return {
    drain() {
      if (!opened) {
        const fresh = bpf.openRing(ringFd(), denialRecord.size, (record) => found.push(denialRecord.decode(record)));
        if (!fresh.ring) {
          const errno = failure(-1);
          fresh.release();
          throw fault('opening the ring', errno);
        }
        opened = fresh;
      }
      const answer = bpf.ring_buffer__consume(opened.ring);
      if (answer < 0) throw fault('reading', failure(answer));
      const all = found;
      found = [];
      return all;
    },
    close() {
      if (!opened) return;
      bpf.ring_buffer__free(opened.ring);
      opened.release();
      opened = undefined;
    },
  };
}
