// SPDX-License-Identifier: Apache-2.0
// envoy.service.discovery.v3.DeltaDiscoveryRequest, in slices: the first of a stream may name a hundred thousand versions.
import protobuf from 'protobufjs/minimal.js';
import { type Request, typeUrls } from '../types.ts';

/** About half a millisecond's work. */
const slice = 1000;
/** Metadata within metadata; what lies deeper is left out. Readers follow to about a hundred messages, and each value takes three. */
const maxDepth = 20;

type Writer = protobuf.Writer;

/** Tag of a field that has a length. */
const tagOf = (field: number) => (field << 3) | 2;

export function* writeRequest(request: Request): Generator<undefined, Uint8Array> {
  const writer = protobuf.Writer.create();
  const { node, error } = request;
  let count = 0;
  if (node) {
    writer.uint32(tagOf(1)).fork();
    writeText(writer, 1, node.id);
    writer.uint32(tagOf(3));
    writeStruct(writer, node.metadata, 0);
    writer.ldelim();
  }
  writeText(writer, 2, typeUrls[request.type]);
  for (const name of request.subscribe ?? []) {
    writer.uint32(tagOf(3)).string(name);
    if (++count % slice === 0) yield undefined;
  }
  for (const name of request.unsubscribe ?? []) {
    writer.uint32(tagOf(4)).string(name);
    if (++count % slice === 0) yield undefined;
  }
  for (const [name, version] of request.initialVersions ?? []) {
    writer.uint32(tagOf(5)).fork();
    writer.uint32(tagOf(1)).string(name).uint32(tagOf(2)).string(version).ldelim();
    if (++count % slice === 0) yield undefined;
  }
  writeText(writer, 6, request.nonce ?? '');
  if (error) {
    writer.uint32(tagOf(7)).fork();
    writer.uint32((1 << 3) | 0).int32(error.code);
    writeText(writer, 2, error.message);
    writer.ldelim();
  }
  return writer.finish(true);
}

function writeText(writer: Writer, field: number, text: string): void {
  if (text !== '') writer.uint32(tagOf(field)).string(text);
}

/** google.protobuf.Struct, with its length. What JSON cannot hold is left out. */
function writeStruct(writer: Writer, object: object, depth: number): void {
  writer.fork();
  for (const [key, value] of Object.entries(object)) {
    if (!holds(value) || depth >= maxDepth) continue;
    writer.uint32(tagOf(1)).fork();
    writer.uint32(tagOf(1)).string(key).uint32(tagOf(2));
    writeValue(writer, value, depth + 1);
    writer.ldelim();
  }
  writer.ldelim();
}

function holds(value: unknown): boolean {
  return value === null || ['boolean', 'number', 'string', 'object'].includes(typeof value);
}

/** google.protobuf.Value, with its length. */
function writeValue(writer: Writer, value: unknown, depth: number): void {
  writer.fork();
  if (typeof value === 'boolean') writer.uint32((4 << 3) | 0).bool(value);
  else if (typeof value === 'number') writer.uint32((2 << 3) | 1).double(value);
  else if (typeof value === 'string') writer.uint32(tagOf(3)).string(value);
  else if (Array.isArray(value)) {
    writer.uint32(tagOf(6)).fork();
    for (const item of depth < maxDepth ? value : []) {
      writer.uint32(tagOf(1));
      writeValue(writer, holds(item) ? item : null, depth + 1);
    }
    writer.ldelim();
  } else if (typeof value === 'object' && value !== null) {
    writer.uint32(tagOf(5));
    writeStruct(writer, value, depth);
  } else writer.uint32((1 << 3) | 0).int32(0);
  writer.ldelim();
}
