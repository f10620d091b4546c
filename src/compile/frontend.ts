// SPDX-License-Identifier: Apache-2.0
// The frontends of an address: for every port and protocol that its owners serve, which backend a client gets.
import type { Protocol } from '../abi/structs.ts';
import type { NodeView } from '../mesh/model.ts';
import { addressText, type Service } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';
import { type Address, isItself, isV4 } from '../net/address.ts';
import { coversMapped } from '../net/cidr.ts';
import { socketAddressText } from '../net/socket-address.ts';
import { backendName, type PortEntries, portsOf, refusedName } from './backend.ts';
import { type Cover, isRange, rangeOf } from './cover.ts';
import { type Claim, rankClaims } from './rank.ts';
import type { ModelReader } from './reader.ts';
import type { WantedFrontend } from './wanted.ts';

/** Every IPv4 address. */
export const allV4 = '0.0.0.0/0';

const protocols: readonly Protocol[] = ['tcp', 'udp'];

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

/** Whether a backend exists. */
type HasBackend = (name: string) => boolean;

/** Services that claim exactly this text on this node's network, but for refused ones. */
function ownersOf(
  reader: ModelReader,
  view: NodeView,
  text: string,
  length: number,
  hasBackend: HasBackend,
): readonly Owner[] {
  const found: Owner[] = [];
  for (const key of reader.owners(text)) {
    const service = reader.service(key);
    if (!service || !claims(service, text, view) || hasBackend(refusedName(key))) continue;
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
  owners.length === 0 ? owners : owners.filter((o) => o.ports.get(port)?.[protocol] !== undefined);

/** What frontends need to know beyond the model. */
export interface FrontendContext {
  readonly cover: Cover;
  /** Ranges of IPv6 addresses that take in the v4-mapped ones. */
  readonly mapped: () => readonly string[];
  readonly hasBackend: HasBackend;
}

/** Ports between two pauses. */
const portsAStep = 64;

/**
 * All frontends of an address text. Services are ranked port by port: where the best owner of an address does not serve a port, the
 * next one that does answers there.
 */
export function* frontendsOf(
  reader: ModelReader,
  view: NodeView,
  text: string,
  context: FrontendContext,
): Steps<readonly WantedFrontend[]> {
  // What a client calls itself is nobody's to give away.
  if (isItself(text)) return [];
  const range = rangeOf(text);
  const { address } = range;
  const family = isV4(address) ? 4 : 6;
  const { hasBackend } = context;
  const owners = ownersOf(reader, view, text, range.length, hasBackend);
  const around = context.cover(range).flatMap((t) => ownersOf(reader, view, t, rangeOf(t).length, hasBackend));
  const length = isRange(text) ? range.length : undefined;
  const backendFor = (claim: Claim, port: number, protocol: Protocol): string => {
    const own = protocol === 'udp' ? backendName(claim.key, port, family, true) : '';
    return own && hasBackend(own) ? own : backendName(claim.key, port, family);
  };
  const answer = (port: number, protocol: Protocol): string | ReadonlyMap<string, string> => {
    const [only] = owners;
    if (owners.length === 1 && only?.everywhere && around.length === 0) return backendFor(only, port, protocol);
    const here = serving(owners, port, protocol);
    const there = serving(around, port, protocol);
    const levels = length === undefined ? [here, there] : [[...here, ...there]];
    return rankClaims(levels, (claim) => backendFor(claim, port, protocol));
  };
  const found: WantedFrontend[] = [];
  let seen = 0;
  for (const [port, entries] of merge(owners)) {
    if (++seen % portsAStep === 0) yield;
    for (const protocol of protocols) {
      if (!entries[protocol]) continue;
      const key = frontendKey(protocol, address, length, port);
      const backend = answer(port, protocol);
      found.push(
        length === undefined
          ? { key, protocol, address, port, backend }
          : { key, protocol, address, length, port, backend },
      );
    }
  }
  if (text === allV4) for (const one of shadows(reader, view, context, owners)) found.push(one);
  return found;
}

/** What any of the owners serves. */
function merge(owners: readonly Owner[]): ReadonlyMap<number, PortEntries> {
  const [first] = owners;
  if (owners.length === 1 && first) return first.ports;
  const merged = new Map<number, PortEntries>();
  for (const { ports } of owners) {
    for (const [port, entries] of ports) merged.set(port, { ...entries, ...merged.get(port) });
  }
  return merged;
}

/**
 * A range of IPv6 addresses that takes in the v4-mapped ones must not catch IPv4 in the kernel's 16-byte trie: where IPv4 has no range of
 * its own (`owners`) for the port, one that nobody sees stands before it.
 */
function shadows(
  reader: ModelReader,
  view: NodeView,
  { mapped, hasBackend }: FrontendContext,
  owners: readonly Owner[],
): readonly WantedFrontend[] {
  const own = merge(owners);
  const found: WantedFrontend[] = [];
  for (const [port, entries] of merge(mapped().flatMap((text) => ownersOf(reader, view, text, 0, hasBackend)))) {
    for (const protocol of protocols) {
      if (!entries[protocol] || own.get(port)?.[protocol]) continue;
      const key = frontendKey(protocol, '0.0.0.0', 0, port);
      found.push({ key, protocol, address: '0.0.0.0', length: 0, port, backend: new Map() });
    }
  }
  return found;
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
