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
  readonly changed: (addresses: ReadonlySet<Address>) => void;
  readonly everyMs?: number;
}

export interface HostAddresses {
  /** Begins to follow them, or looks at once if it does already: a first pod often brings a bridge along. */
  look(): void;
  /** Nobody needs them: none are told from now on, and they count as forgotten. */
  rest(): void;
  close(): void;
}

const every = 10_000;

export function openHostAddresses({ interfaces, changed, everyMs = every }: HostAddressesOptions): HostAddresses {
  let known: ReadonlySet<Address> = new Set();
  let timer: NodeJS.Timeout | undefined;
  const read = (): void => {
    const now = hostAddresses(interfaces());
    if (now.size === known.size && [...now].every((address) => known.has(address))) return;
    known = now;
    changed(now);
  };
  const rest = (): void => {
    clearInterval(timer);
    timer = undefined;
    known = new Set();
  };
  return {
    look() {
      timer ??= setInterval(read, everyMs).unref();
      read();
    },
    rest,
    close: rest,
  };
}
