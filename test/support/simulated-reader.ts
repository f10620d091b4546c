// SPDX-License-Identifier: Apache-2.0
// What the programs would see: their look-ups, one by one, over any data plane.
import { frontendTag, variantTag } from '../../src/abi/hash.ts';
import type { ValueOfMap } from '../../src/abi/maps.ts';
import {
  backendFlag,
  backendVariant,
  type NameKind,
  nameKind,
  type Protocol,
  protocolNumber,
  settingFlag,
} from '../../src/abi/structs.ts';
import { joinName } from '../../src/compile/names.ts';
import type { DataPlane, HeaderSlot } from '../../src/kernel/dataplane.ts';
import { type Address, isV4 } from '../../src/net/address.ts';

export interface Dialled {
  readonly address: Address;
  readonly port: number;
  readonly protocol: Protocol;
  /** Namespace id of the client. */
  readonly namespaceId: number;
}

export interface Seen {
  /** Backend by name. 'unknown': left alone. 'torn': refused, after all retries. */
  readonly backend: string;
  /** Its endpoints and what the header says, by name. */
  readonly set: string;
  /** The waypoint that it goes through, and its endpoints; '' none. */
  readonly via: string;
  readonly viaSet: string;
}

export type NameOf = (kind: NameKind, id: number) => string;

/** What one look by a program gives, while nothing changes. */
export function look(plane: DataPlane, dialled: Dialled, nameOf: NameOf): Seen {
  const nothing = { set: '', via: '', viaSet: '' };
  const id = backendIdFor(plane, dialled);
  if (typeof id === 'string') return { backend: id, ...nothing };
  const found = rangeOf(plane, id);
  if (!found) return { backend: 'torn', ...nothing };
  const { first, header } = found;
  const seen = { backend: nameOf('backend', id), set: describe(plane, first, header, nameOf) };
  if ((header.flags & backendFlag.via) === 0) return { ...seen, via: '', viaSet: '' };
  const via = plane.via(first + 1 + header.count);
  const through = rangeOf(plane, via.backend_id);
  if (!through) return { ...seen, via: 'torn', viaSet: '' };
  const viaSet = describe(plane, through.first, through.header, nameOf);
  const slots = Array.from({ length: Math.ceil(via.listed / 16) }, (_, i) => plane.ports(first + 2 + header.count + i));
  const listed = slots.flatMap(({ ports }) => ports).slice(0, via.listed);
  const told = plane.map('waypoint_service').get(header.service_id);
  const untold = told?.id === header.service_id || seen.backend.startsWith('workloads:') ? '' : ', not told';
  return {
    backend: seen.backend,
    set: `${seen.set} via ${nameOf('backend', via.backend_id)} ${via.flags} [${listed}]${untold}`,
    via: nameOf('backend', via.backend_id),
    viaSet,
  };
}

function rangeOf(plane: DataPlane, id: number): { readonly first: number; readonly header: HeaderSlot } | undefined {
  const backend = plane.map('backend').get(id);
  if (!backend || backend.first === 0) return undefined;
  const header = plane.header(backend.first);
  const whole = header.backend_id === id && header.generation === backend.generation;
  return whole ? { first: backend.first, header } : undefined;
}

/** Names as the kernel holds them now. */
export function namesIn(plane: DataPlane): NameOf {
  const parts = new Map<string, ValueOfMap<'name'>[]>();
  for (const [key, value] of plane.map('name').entries()) {
    const id = `${key.kind} ${key.id}`;
    const found = parts.get(id) ?? [];
    found[key.part] = value;
    parts.set(id, found);
  }
  return (kind, id) => joinName(parts.get(`${nameKind[kind]} ${id}`) ?? []) ?? `no name: ${id}`;
}

function backendIdFor(plane: DataPlane, d: Dialled): number | 'unknown' | 'torn' {
  const key = { addr: d.address, port: d.port, protocol: protocolNumber[d.protocol] };
  const exact = plane.map('frontend').get(key);
  if (exact) {
    if (exact.tag !== frontendTag(key)) return 'torn';
    return exact.backend_id === backendVariant
      ? variant(plane, { ...key, prefix: 0 }, d.namespaceId)
      : exact.backend_id;
  }
  const flags = plane.map('setting').get(0)?.flags ?? 0;
  if ((flags & settingFlag.anyPort) !== 0) {
    const all = { ...key, port: 0 };
    const any = plane.map('frontend').get(all);
    if (any) return any.tag === frontendTag(all) ? any.backend_id : 'torn';
  }
  if ((flags & settingFlag.cidr) === 0) return 'unknown';
  const range = plane.map('cidr').get({ ...key, prefixlen: 160 });
  if (!range) return 'unknown';
  if (range.backend_id !== backendVariant) return range.backend_id;
  return variant(plane, { ...key, addr: masked(d.address, range.tag), prefix: range.tag }, d.namespaceId);
}

function variant(
  plane: DataPlane,
  key: { addr: string; port: number; protocol: number; prefix: number },
  namespaceId: number,
): number | 'unknown' | 'torn' {
  for (const namespace_id of [namespaceId, 0]) {
    const full = { ...key, namespace_id };
    const found = plane.map('variant').get(full);
    if (found) return found.tag === variantTag(full) ? found.backend_id : 'torn';
  }
  return 'unknown';
}

/** Ranges of the tests end at whole bytes of IPv4. */
function masked(address: Address, bits: number): Address {
  if (!isV4(address)) throw new Error('only IPv4 ranges are simulated');
  const keep = (bits - 96) / 8;
  return address
    .split('.')
    .map((part, i) => (i < keep ? part : '0'))
    .join('.');
}

function describe(plane: DataPlane, first: number, header: HeaderSlot, nameOf: NameOf): string {
  const slots = Array.from({ length: header.count }, (_, i) => plane.map('endpoint').get(first + 1 + i));
  const names = slots.map((s) => (s ? `${nameOf('workload', s.workload_id)}@${s.addr}:${s.port}` : 'no slot'));
  const endpoints = slots
    .map((s, i) => `${names[i]}/${s?.threshold}${s?.flags ? `!${s.flags}` : ''}>${names[s?.alias ?? 0]}`)
    .sort();
  const table = Array.from({ length: header.maglev_size }, (_, i) => {
    const pair = plane.map('maglev').get(header.maglev_first + (i >> 1));
    return names[pair?.index[i & 1] ?? 0];
  });
  // The whole table would be thousands of names for each look.
  const spots = [0, 7, 63, table.length - 1].map((i) => table[i] ?? '-').join(' ');
  return `policy ${header.policy} flags ${header.flags} affinity ${header.affinity_seconds} [${endpoints.join(', ')}] table ${table.length}: ${spots}`;
}
