// SPDX-License-Identifier: Apache-2.0
// The ring of addresses that programs want asked for: read when something is in it, without polling and off the event loop.
import { closeSync, writeSync } from 'node:fs';
import type { KeyOf, ValueOfMap } from '../abi/maps.ts';
import { missRecord, missState } from '../abi/structs.ts';
import { KmeshError } from '../errors.ts';
import type { MissRecord } from './dataplane.ts';
import { failure, libbpf, type Pointer } from './libbpf.ts';
import { libc } from './libc.ts';

/** One thread of the pool is taken while this waits: no longer at a time than a process may take to end. */
const waitMs = 5_000;
const EFD_CLOEXEC_NONBLOCK = 0o2004000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;

export interface MissSource {
  /** Descriptor of the map. */
  ring(): number;
  /** Records that had no room in the ring so far. */
  lost(): bigint;
  /** Entries of the map `miss`. */
  held(): Iterable<readonly [KeyOf<'miss'>, ValueOfMap<'miss'>]>;
}

export interface Misses {
  /** DataPlane.nextMisses */
  next(): Promise<readonly MissRecord[]>;
  close(): void;
}

interface Ring {
  /** Resolves when there is something to read, when woken, or after a while. */
  wait(): Promise<void>;
  wake(): void;
  /** Everything that is in it. */
  drain(): MissRecord[];
  close(): void;
}

const fault = (what: string, errno: string) => new KmeshError('KM_MAP', `map "misses": ${what} failed: ${errno}`);

function openRing(fd: number): Ring {
  const bpf = libbpf();
  const { eventfd, epoll_ctl, waitLater, errno } = libc();
  let found: MissRecord[] = [];
  const { ring, release } = bpf.openRing(fd, missRecord.size, (record) => found.push(missRecord.decode(record)));
  if (!ring) throw fault('opening the ring', failure(-1));
  const epoll = bpf.ring_buffer__epoll_fd(ring as Pointer);
  const event = eventfd(0, EFD_CLOEXEC_NONBLOCK);
  const close = () => {
    bpf.ring_buffer__free(ring);
    release();
    if (event >= 0) closeSync(event);
  };
  const interest = new Uint8Array(new ArrayBuffer(16));
  interest[0] = EPOLLIN;
  if (event < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, event, interest) < 0) {
    close();
    throw fault('waiting for it', errno());
  }
  return {
    wait: () => waitLater(epoll, waitMs),
    wake: () => void writeSync(event, new BigUint64Array([1n])),
    drain() {
      const answer = bpf.ring_buffer__consume(ring);
      if (answer < 0) throw fault('reading', failure(answer));
      const all = found;
      found = [];
      return all;
    },
    close,
  };
}

/** Opens nothing before the first next(): who only looks at maps must not take what the agent waits for. */
export function openMisses(source: MissSource): Misses {
  let ring: Ring | undefined;
  let lost = 0n;
  let waiting = false;
  let closed = false;

  const unanswered = (): MissRecord[] => {
    const out: MissRecord[] = [];
    for (const [addr, { since_ns, state }] of source.held()) {
      if (state === missState.asked) out.push({ addr, since_ns, state });
    }
    return out;
  };
  const collect = (from: Ring): MissRecord[] => {
    const found = from.drain();
    const now = source.lost();
    if (now !== lost) found.push(...unanswered());
    lost = now;
    return found;
  };

  return {
    async next() {
      if (closed) return [];
      let found: MissRecord[] = [];
      if (!ring) {
        ring = openRing(source.ring());
        lost = source.lost();
        found = unanswered();
      }
      found.push(...collect(ring));
      if (found.length > 0) return found;
      waiting = true;
      try {
        await ring.wait();
      } finally {
        waiting = false;
        // Not while another thread waits for it.
        if (closed) ring.close();
      }
      return closed ? [] : collect(ring);
    },
    close() {
      if (closed) return;
      closed = true;
      if (waiting) ring?.wake();
      else ring?.close();
    },
  };
}
