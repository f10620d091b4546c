// SPDX-License-Identifier: Apache-2.0
// The frontends of an address: for every port and protocol that its owners serve, which backend a client gets.
import type { Protocol } from '../abi/structs.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import { addressText, type Service } from '../mesh/service.ts';
import { type Address, isV4 } from '../net/address.ts';
import { coversMapped } from '../net/cidr.ts';
import { socketAddressText } from '../net/socket-address.ts';
import { backendName, type PortEntries, portsOf } from './backend.ts';
import { type Cover, isRange, rangeOf } from './cover.ts';
import { type Claim, rankClaims } from './rank.ts';
import type { WantedFrontend } from './wanted.ts';

/** Every IPv4 address. */
export const allV4 = '0.0.0.0/0';

/** Key text of a frontend: "tcp/10.0.0.1:80", "udp/[2001:db8::1]:53", ranges "tcp/10.1.0.0/16:80" and "tcp/[2001:db8::/32]:80". */
export function frontendKey(protocol: Protocol, address: Address, length: number | undefined, port: number): string {
  return `${protocol}/${socketAddressText(length === undefined ? address : `${address}/${length}`, port)}`;
}

interface Owner extends Claim {
  readonly ports: ReadonlyMap<number, PortEntries>;
}

function claims(service: Service, text: string, view: NodeView): boolean {
  return service.addresses.some((a) => a.network === view.network && addressText(a) === text);
}

/** Services that claim exactly this text on this node's network. */
function ownersOf(model: Model, view: NodeView, text: string, length: number): readonly Owner[] {
  const found: Owner[] = [];
  for (const key of model.owners.get(text) ?? []) {
    const service = model.services.get(key);
    if (!service || !claims(service, text, view)) continue;
    found.push({
      key,
      namespace: service.namespace,
      canonical: service.canonical,
      everywhere: service.visibility === 'public',
      length,
      ports: portsOf(service),
    });
  }
  return found;
}

const serving = (owners: readonly Owner[], port: number, protocol: Protocol): readonly Owner[] =>
  owners.filter((o) => o.ports.get(port)?.[protocol] !== undefined);

/** What frontends need to know beyond the model. */
export interface FrontendContext {
  readonly cover: Cover;
  /** Ranges of IPv6 addresses that take in the v4-mapped ones. */
  readonly mapped: readonly string[];
  /** Names of the backends that exist. */
  readonly hasBackend: (name: string) => boolean;
}

/**
 * All frontends of an address text. Services are ranked port by port: where the best owner of an address does not serve a port, the
 * next one that does answers there.
 */
export function frontendsOf(
  model: Model,
  view: NodeView,
  text: string,
  context: FrontendContext,
): readonly WantedFrontend[] {
  const range = rangeOf(text);
  const family = isV4(range.address) ? 4 : 6;
  const owners = ownersOf(model, view, text, range.length);
  const around = context.cover(range).flatMap((t) => ownersOf(model, view, t, rangeOf(t).length));
  const length = isRange(text) ? range.length : undefined;
  const base = length === undefined ? { address: range.address } : { address: range.address, length };
  const found = new Map<string, WantedFrontend>();
  for (const { ports } of owners) {
    for (const [port, entries] of ports) {
      for (const protocol of ['tcp', 'udp'] as const) {
        const key = frontendKey(protocol, range.address, length, port);
        if (!entries[protocol] || found.has(key)) continue;
        const here = serving(owners, port, protocol);
        const there = around.length === 0 ? around : serving(around, port, protocol);
        const levels = length === undefined ? [here, there] : [[...here, ...there]];
        const backend = rankClaims(levels, (claim) => {
          const own = backendName(claim.key, port, family, true);
          return protocol === 'udp' && context.hasBackend(own) ? own : backendName(claim.key, port, family);
        });
        found.set(key, { key, protocol, ...base, port, backend });
      }
    }
  }
  if (text === allV4) shadow(model, view, context.mapped, found);
  return [...found.values()];
}

/**
 * A range of IPv6 addresses that takes in the v4-mapped ones must not catch IPv4 in the kernel's 16-byte trie: where IPv4 has no range of
 * its own for the port, one that nobody sees stands before it.
 */
function shadow(model: Model, view: NodeView, ranges: readonly string[], found: Map<string, WantedFrontend>): void {
  for (const text of ranges) {
    for (const { ports } of ownersOf(model, view, text, 0)) {
      for (const [port, entries] of ports) {
        for (const protocol of ['tcp', 'udp'] as const) {
          const key = frontendKey(protocol, '0.0.0.0', 0, port);
          if (!entries[protocol] || found.has(key)) continue;
          found.set(key, { key, protocol, address: '0.0.0.0', length: 0, port, backend: new Map() });
        }
      }
    }
  }
}

export function sameFrontend(a: WantedFrontend, b: WantedFrontend): boolean {
  if (a.key !== b.key) return false;
  if (typeof a.backend === 'string' || typeof b.backend === 'string') return a.backend === b.backend;
  if (a.backend.size !== b.backend.size) return false;
  for (const [namespace, name] of a.backend) if (b.backend.get(namespace) !== name) return false;
  return true;
}

/** True for the text of a range whose 16-byte form takes in IPv4. */
export function takesInV4(text: string): boolean {
  return isRange(text) && coversMapped(rangeOf(text));
}
