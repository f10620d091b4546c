// SPDX-License-Identifier: Apache-2.0
// The addresses of this node, from which probes come: followed while somebody needs them.
import type { NetworkInterfaceInfo } from 'node:os';
import { type Address, addressBytes, isV4, parseAddress } from '../net/address.ts';

export type Interfaces = Readonly<
  Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'internal'>[] | undefined>
>;

/** fe80::/10 */
function isLinkLocal(address: Address): boolean {
  if (isV4(address)) return false;
  const [first = 0, second = 0] = addressBytes(address);
  return first === 0xfe && (second & 0xc0) === 0x80;
}

/** Those that are this node's alone: link-local IPv6 addresses may be others' on another link. */
export function hostAddresses(interfaces: Interfaces): ReadonlySet<Address> {
  const out = new Set<Address>();
  for (const list of Object.values(interfaces)) {
    for (const { address, internal } of list ?? []) {
      const canonical = internal ? undefined : parseAddress(address);
      if (canonical !== undefined && !isLinkLocal(canonical)) out.add(canonical);
    }
  }
  return out;
}

export interface HostAddressesOptions {
  readonly interfaces: () => Interfaces;
  /** They differ from those that were given or told last. */
  readonly changed: () => void;
  readonly everyMs?: number;
}

export interface HostAddresses {
  /** Those of now, the same object while they stay the same; follows them from now on. A first pod often brings a bridge along. */
  look(): ReadonlySet<Address>;
  /** Nobody needs them for a while. */
  rest(): void;
  close(): void;
}

const usualEveryMs = 10_000;

export function openHostAddresses({
  interfaces,
  changed,
  everyMs = usualEveryMs,
}: HostAddressesOptions): HostAddresses {
  let known: ReadonlySet<Address> = new Set();
  let timer: NodeJS.Timeout | undefined;
  const read = (): boolean => {
    const now = hostAddresses(interfaces());
    if (now.size === known.size && [...now].every((address) => known.has(address))) return false;
    known = now;
    return true;
  };
  const rest = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  return {
    look() {
      timer ??= setInterval(() => {
        if (read()) changed();
      }, everyMs).unref();
      read();
      return known;
    },
    rest,
    close: rest,
  };
}
