// SPDX-License-Identifier: Apache-2.0
// What every pinned map holds, decoded by the map's own BTF, with names beside ids.
import { reasons } from '../abi/reasons.ts';
import { identityHost, memberPolicyBits, type NameKind, protocolNumber } from '../abi/structs.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import type { BtfValue } from '../kernel/btf-value.ts';
import { isLoaded, notLoaded, openPinned } from '../kernel/pinned.ts';
import { openPinnedMap, type PinnedEntry, type PinnedMap, pinnedMapNames } from '../kernel/pinned-map.ts';
import { versionPin } from '../kernel/version.ts';
import { type HeldNames, readNames } from './held/names.ts';

export interface DumpMapsOptions {
  readonly place: Place;
  /** Names of maps; none: all. */
  readonly names?: readonly string[] | undefined;
  readonly raw: boolean;
  /** Only entries whose text contains it. */
  readonly filter?: string | undefined;
  /** Entries a map at most. */
  readonly limit?: number | undefined;
}

/** One entry, ready to print: scalars as they are, ids with the names they stand for, raw ones in hex. */
export interface DumpedEntry {
  readonly key: DumpedValue;
  readonly value: DumpedValue;
}
export type DumpedValue =
  | string
  | number
  | bigint
  | NamedId
  | readonly DumpedValue[]
  | { readonly [member: string]: DumpedValue };

/** An id and what it stands for; '#7' when the id table does not say. */
export interface NamedId {
  readonly id: number;
  readonly name: string;
}

export interface DumpedMap {
  readonly name: string;
  readonly type: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** Read as they are taken. Empty for socket storage, which has no keys to walk. */
  readonly entries: Iterable<DumpedEntry>;
}

/** Members that are ids -> what they name. */
const idMembers: Readonly<Record<string, NameKind>> = {
  workload_id: 'workload',
  peer_workload_id: 'workload',
  backend_id: 'backend',
  service_id: 'service',
  namespace_id: 'namespace',
  identity: 'identity',
};
/** Maps whose key is an id. */
const idKeys: Readonly<Record<string, NameKind>> = {
  backend: 'backend',
  robin: 'backend',
  client: 'workload',
  active: 'workload',
  authz_hit: 'policy',
  denial_limit: 'policy',
};
const variantId = 0xffffffff;
const protocols = new Map<number, string>(Object.entries(protocolNumber).map(([name, n]) => [n, name]));
const utf8 = new TextDecoder();

function named(names: HeldNames, kind: NameKind, id: number): NamedId | 0 {
  if (id === 0) return 0;
  if (kind === 'backend' && id === variantId) return { id, name: 'by namespace' };
  if (kind === 'identity' && id === identityHost) return { id, name: 'the node itself' };
  return { id, name: names.nameOf(kind, id) };
}

/** Text when the bytes are zero-filled UTF-8, else hex. */
function bytesText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  if (end >= 0 && bytes.subarray(end).some((byte) => byte !== 0)) return Buffer.from(bytes).toString('hex');
  const text = utf8.decode(end < 0 ? bytes : bytes.subarray(0, end));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  return /[\u0000-\u001f\ufffd]/.test(text) ? Buffer.from(bytes).toString('hex') : text;
}

function shown(value: BtfValue, names: HeldNames): DumpedValue {
  if (value instanceof Uint8Array) return bytesText(value);
  if (Array.isArray(value)) return value.map((one) => shown(one, names));
  if (typeof value !== 'object') return value;
  const out: Record<string, DumpedValue> = {};
  for (const [member, one] of Object.entries(value as Readonly<Record<string, BtfValue>>)) {
    const kind = idMembers[member];
    if (kind) out[member] = named(names, kind, one as number);
    else if (member === 'ends' && one instanceof Uint8Array) out[member] = [...one];
    else if (member === 'protocol') out[member] = protocols.get(one as number) ?? (one as number);
    else out[member] = shown(one, names);
  }
  return out;
}

function shownKey(map: string, key: BtfValue, names: HeldNames): DumpedValue {
  const kind = idKeys[map];
  if (kind) return named(names, kind, key as number);
  if (map === 'reason') return reasons[key as number] ?? (key as number);
  return shown(key, names);
}

/** The sets that a stack counts; what lies behind them is no part of it. */
function usedSets(stack: DumpedValue): DumpedValue {
  if (typeof stack !== 'object' || !('sets' in stack) || !Array.isArray(stack.sets)) return stack;
  return { ...stack, sets: stack.sets.slice(0, Number(stack.count)) };
}

function shownValue(map: string, value: BtfValue, names: HeldNames): DumpedValue {
  if (map === 'authz_stack') return usedSets(shown(value, names));
  if (map !== 'authz_member' || typeof value !== 'number') return shown(value, names);
  const rule = value >>> memberPolicyBits;
  return { policy: named(names, 'policy', value & ((1 << memberPolicyBits) - 1)), rule };
}

const searchable = (value: DumpedValue): string =>
  typeof value === 'object' ? Object.values(value).map(searchable).join(' ') : String(value);

function* entriesOf(map: PinnedMap, names: HeldNames, options: DumpMapsOptions): Generator<DumpedEntry> {
  try {
    if (!map.walkable) return;
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    const show = ({ key, value }: PinnedEntry): DumpedEntry =>
      options.raw
        ? { key: key as string, value: value as string }
        : { key: shownKey(map.name, key, names), value: shownValue(map.name, value, names) };
    for (const entry of map.entries(options.raw)) {
      if (left <= 0) return;
      const one = show(entry);
      const { filter } = options;
      if (filter !== undefined && !`${searchable(one.key)} ${searchable(one.value)}`.includes(filter)) continue;
      left--;
      yield one;
    }
  } finally {
    map.close();
  }
}

function* after(first: DumpedEntry, rest: Generator<DumpedEntry>): Generator<DumpedEntry> {
  try {
    yield first;
    yield* rest;
  } finally {
    rest.return(undefined);
  }
}

function readNamesOf(bpffs: string): HeldNames {
  const plane = openPinned(bpffs);
  try {
    return readNames(plane);
  } finally {
    plane.close();
  }
}

/** Names cost a walk of the id table: left out where none is shown, and where another version's tables could not be read. */
const noNames: HeldNames = { nameOf: (_kind, id) => `#${id}`, all: () => new Map() };

/** Opens the maps one after the other, as the result is taken. KM_NOT_FOUND for a name that is not there, before anything is printed. */
export async function dumpMaps(_env: Env, options: DumpMapsOptions): Promise<AsyncIterable<DumpedMap>> {
  const { bpffs } = options.place;
  if (!isLoaded(bpffs)) throw notLoaded(bpffs);
  const all = pinnedMapNames(bpffs).filter((name) => name !== versionPin);
  const names = options.names?.length ? options.names : all;
  const missing = names.find((name) => !all.includes(name));
  if (missing !== undefined) {
    throw new KmeshError('KM_NOT_FOUND', `there is no map "${missing}"`, { hint: `there are: ${all.join(', ')}` });
  }
  let held = noNames;
  if (!options.raw) {
    try {
      held = readNamesOf(bpffs);
    } catch (error) {
      // Another version's maps are still shown, by their own BTF; only the names are missing.
      if (!(error instanceof KmeshError) || (error.code !== 'KM_VERSION_MISMATCH' && error.code !== 'KM_LAYOUT'))
        throw error;
    }
  }
  return (async function* () {
    for (const name of names) {
      const map = openPinnedMap(bpffs, name);
      const { keySize, valueSize, maxEntries } = map.info;
      const entries = entriesOf(map, held, options);
      const first = options.filter === undefined ? undefined : entries.next();
      // Of what was searched for, only where it was found.
      if (first?.done) continue;
      const found = first ? after(first.value, entries) : entries;
      yield { name, type: map.type, keySize, valueSize, maxEntries, entries: found };
    }
  })();
}
