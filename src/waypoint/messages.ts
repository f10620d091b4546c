// SPDX-License-Identifier: Apache-2.0
// Messages of aggregated discovery, both ways of it: what Envoy asks and how it is answered.
import protobuf from 'protobufjs/minimal.js';
import type { Locality } from '../mesh/workload.ts';
import { type TypeName, typeUrls } from './types.ts';
import { bytes, bytesOf, inner, list, type Message, message, text } from './wire.ts';

/** Who asks. */
export interface RequestNode {
  readonly id: string;
  readonly cluster: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly locality: Locality;
}

/** A request of either way; what was not there is empty. */
export interface Request {
  readonly node: RequestNode;
  readonly hasNode: boolean;
  readonly typeUrl: string;
  /** State of the world: all that is wanted. Delta: what is wanted from now on. */
  readonly names: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Delta: what the client holds from before. */
  readonly held: ReadonlyMap<string, string>;
  readonly nonce: string;
  /** Why the response was refused; undefined: it was not. */
  readonly error: string | undefined;
}

export interface Resource {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
  /** What the bytes say. */
  readonly value?: object;
}

export interface Response {
  readonly type: TypeName;
  readonly version: string;
  readonly nonce: string;
  readonly resources: readonly Resource[];
  readonly removed: readonly string[];
}

type Reader = protobuf.Reader;

function fields(reader: Reader, end: number, take: (number: number) => boolean): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (!take(tag >>> 3)) reader.skipType(tag & 7);
  }
}

function inside(reader: Reader, take: (number: number) => boolean): true {
  const length = reader.uint32();
  fields(reader, reader.pos + length, take);
  return true;
}

interface NodeDraft {
  id: string;
  cluster: string;
  readonly metadata: Record<string, string>;
  readonly locality: { region: string; zone: string; subzone: string };
}

const localityFields = ['', 'region', 'zone', 'subzone'] as const;

function readLocality(reader: Reader, locality: NodeDraft['locality']): true {
  return inside(reader, (number) => {
    const field = localityFields[number];
    if (!field) return false;
    locality[field] = readName(reader);
    return true;
  });
}

function readNode(reader: Reader, node: NodeDraft): true {
  return inside(reader, (number) => {
    if (number === 1) node.id = reader.string();
    else if (number === 2) node.cluster = reader.string();
    else if (number === 3) return inside(reader, (field) => field === 1 && readMember(reader, node.metadata));
    else if (number === 4) return readLocality(reader, node.locality);
    else return false;
    return true;
  });
}

/** Longer ones are not ours; and Maps of many keys of 16 KB and more are slow, as V8 hashes those by their length alone. */
const longestName = 4096;

function readName(reader: Reader): string {
  const name = reader.string();
  if (name.length > longestName) throw new RangeError(`a name is longer than ${longestName} characters`);
  return name;
}

/** One member of a google.protobuf.Struct; only short texts are kept. */
function readMember(reader: Reader, out: Record<string, string>): true {
  let key = '';
  let text: string | undefined;
  inside(reader, (number) => {
    if (number === 1) key = reader.string();
    else if (number === 2) {
      inside(reader, (kind) => {
        if (kind !== 3) return false;
        text = reader.string();
        return true;
      });
    } else return false;
    return true;
  });
  if (text !== undefined && key.length + text.length <= longestName) out[key] = text;
  return true;
}

const numbers = {
  delta: { node: 1, type: 2, names: 3, unsubscribe: 4, held: 5, nonce: 6, error: 7 },
  world: { node: 2, type: 4, names: 3, unsubscribe: -1, held: -1, nonce: 5, error: 6 },
} as const;

export type Way = keyof typeof numbers;

/** Throws for bytes that are no message. */
export function decodeRequest(bytes: Uint8Array, way: Way): Request {
  const reader = protobuf.Reader.create(bytes);
  const at = numbers[way];
  const node = {
    ...{ id: '', cluster: '', locality: { region: '', zone: '', subzone: '' } },
    metadata: Object.create(null) as Record<string, string>,
  };
  const held = new Map<string, string>();
  const names: string[] = [];
  const unsubscribe: string[] = [];
  let [hasNode, typeUrl, nonce] = [false, '', ''];
  let error: string | undefined;
  fields(reader, bytes.length, (number) => {
    switch (number) {
      case at.node:
        hasNode = true;
        return readNode(reader, node);
      case at.type:
        typeUrl = reader.string();
        return true;
      case at.names:
        names.push(readName(reader));
        return true;
      case at.unsubscribe:
        unsubscribe.push(readName(reader));
        return true;
      case at.held: {
        let [key, value] = ['', ''];
        inside(reader, (part) => {
          if (part === 1) key = readName(reader);
          else if (part === 2) value = readName(reader);
          else return false;
          return true;
        });
        held.set(key, value);
        return true;
      }
      case at.nonce:
        nonce = reader.string();
        return true;
      case at.error:
        error = '';
        return inside(reader, (part) => {
          if (part !== 2) return false;
          error = reader.string();
          return true;
        });
      default:
        return false;
    }
  });
  return { node, hasNode, typeUrl, names, unsubscribe, held, nonce, error };
}

interface Any {
  readonly url: string;
  readonly bytes: Uint8Array;
}
interface Named {
  readonly version: string;
  readonly resource: Any;
  readonly name: string;
}
interface Told<T> {
  readonly version: string;
  readonly resources: readonly T[];
  readonly url: string;
  readonly nonce: string;
  readonly removed?: readonly string[];
}

const any = message<Any>({ url: text(1), bytes: bytes(2) });
const named = message<Named>({ version: text(1), resource: inner(2, any), name: text(3) });
const toldBy = <T>(resource: Message<T>): Message<Told<T>> =>
  message<Told<T>>({
    version: text(1),
    resources: list(inner(2, resource)),
    url: text(4),
    nonce: text(5),
    removed: list(text(6)),
  });
const world = toldBy(any);
const delta = toldBy(named);

export function encodeResponse({ type, version, nonce, resources, removed }: Response, way: Way): Buffer {
  const url = typeUrls[type];
  const anyOf = (one: Resource): Any => ({ url, bytes: one.bytes });
  if (way === 'world') return bytesOf(world, { version, resources: resources.map(anyOf), url, nonce });
  const all = resources.map((one) => ({ version: one.version, resource: anyOf(one), name: one.name }));
  return bytesOf(delta, { version, resources: all, url, nonce, removed });
}
