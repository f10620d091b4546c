// SPDX-License-Identifier: Apache-2.0
// Automatic addresses of hosts that have none: each gets one of 240.240.0.0/16 and one of 2001:2::/48.
//
// The first choice follows from the key ("namespace/hostname") alone. Two keys may have the same first choice (with 300 hosts this is
// likely once): the later one takes the next free address of its own sequence. Nobody who has an address is ever moved, so what a key gets
// can depend on who came first; the book is therefore kept in a file and read again at start. Several new keys are served in sorted order,
// so that a start without the file depends on the set of keys only.
import { type Address, addressOf } from '../../../net/address.ts';
import { textHash } from './hash.ts';

export interface Assigned {
  readonly v4: Address;
  readonly v6: Address;
}

/** Largest prime below 2^16: every step in a sequence then visits every slot. Slot 0 is the range's own address and stays free. */
const slots4 = 65_521;
/** Keys that are gone but whose addresses are kept for them while there is room. */
const maxRemembered = 10_000;
const remoteTries = 64;

export interface AddressBook {
  /** Gives addresses to those of `keys` that have none. `taken`: addresses that services claim by themselves. */
  assign(keys: readonly string[], taken: (address: Address) => boolean): void;
  /** Undefined: never assigned, or there was no address left. */
  get(key: string): Assigned | undefined;
  /** The key is gone. It gets the same addresses when it comes back, unless they ran out meanwhile. */
  release(key: string): void;
  /** Every assignment, to be given to the next start. */
  entries(): IterableIterator<[string, Assigned]>;
  /** Increases with every change of `entries`. */
  readonly version: number;
}

export function openAddressBook(before: Iterable<readonly [string, Assigned]> = []): AddressBook {
  const assigned = new Map<string, Assigned>();
  const remembered = new Map<string, Assigned>(before);
  const used = new Set<Address>();
  const kept = new Set<Address>();
  for (const { v4, v6 } of remembered.values()) kept.add(v4).add(v6);
  let version = 0;

  const forget = (key: string, { v4, v6 }: Assigned) => {
    remembered.delete(key);
    kept.delete(v4);
    kept.delete(v6);
  };
  const take = (key: string, at: Assigned) => {
    assigned.set(key, at);
    used.add(at.v4).add(at.v6);
  };

  return {
    assign(keys, taken) {
      const open: string[] = [];
      for (const key of keys) {
        if (assigned.has(key)) continue;
        const old = remembered.get(key);
        if (old) forget(key, old);
        if (old && !used.has(old.v4) && !used.has(old.v6)) take(key, old);
        else open.push(key);
      }
      for (const key of open.sort()) {
        const refused = (address: Address) => used.has(address) || taken(address);
        const v4 = choose(sequence4(key), refused, kept);
        const v6 = choose(sequence6(key), refused, kept);
        if (v4 === undefined || v6 === undefined) continue;
        take(key, { v4, v6 });
        version++;
      }
    },
    get: (key) => assigned.get(key),
    release(key) {
      const at = assigned.get(key);
      if (!at) return;
      assigned.delete(key);
      used.delete(at.v4);
      used.delete(at.v6);
      remembered.set(key, at);
      kept.add(at.v4).add(at.v6);
      const [oldest] = remembered;
      if (remembered.size <= maxRemembered || !oldest) return;
      forget(...oldest);
      version++;
    },
    *entries() {
      yield* assigned;
      yield* remembered;
    },
    get version() {
      return version;
    },
  };
}

/** The first that is neither refused nor kept for somebody; after some tries, also what is kept. */
function choose(
  sequence: Iterable<Address>,
  refused: (address: Address) => boolean,
  kept: ReadonlySet<Address>,
): Address | undefined {
  let tries = 0;
  let second: Address | undefined;
  for (const address of sequence) {
    if (refused(address)) continue;
    if (!kept.has(address)) return address;
    second ??= address;
    if (++tries >= remoteTries) break;
  }
  return second;
}

/** Every address 240.240.0.1 to 240.240.255.241, in an order of the key's own. */
export function* sequence4(key: string): Generator<Address> {
  const first = textHash(key, 1) % slots4;
  const step = 1 + (textHash(key, 2) % (slots4 - 1));
  for (let i = 0; i < slots4; i++) {
    const slot = 1 + ((first + i * step) % slots4);
    yield `240.240.${slot >> 8}.${slot & 255}`;
  }
}

function* sequence6(key: string): Generator<Address> {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x20010002);
  for (let i = 0; i < slots4; i++) {
    view.setUint32(8, textHash(key, 3 + 2 * i));
    view.setUint32(12, textHash(key, 4 + 2 * i) | 1);
    yield addressOf(bytes) as Address;
  }
}
