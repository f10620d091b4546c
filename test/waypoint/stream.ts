// SPDX-License-Identifier: Apache-2.0
// A client of aggregated discovery over gRPC, incremental: asks as it is told to, and keeps the names of what it got.
import { Client, credentials } from '@grpc/grpc-js';
import protobuf from 'protobufjs/minimal.js';
import { type TypeName, typeNames, typeUrls } from '../../src/waypoint/types.ts';

export interface Got {
  readonly type: TypeName;
  readonly names: readonly string[];
  readonly removed: readonly string[];
}

export interface Asked {
  /** "namespace/name" */
  readonly waypoint?: string;
  readonly names?: readonly string[];
  /** Name -> version. */
  readonly held?: Readonly<Record<string, string>>;
}

export interface Stream {
  readonly got: readonly Got[];
  ask(type: TypeName, asked?: Asked): void;
  last(type: TypeName): Got;
  /** Looks every so many milliseconds; 0: whenever the event loop has had a turn. */
  until(check: () => boolean, everyMs?: number): Promise<void>;
  close(): void;
}

const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const same = (value: Buffer) => value;

export function openStream(address: string): Stream {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const call = client.makeBidiStreamRequest(path, same, same);
  const got: Got[] = [];
  call.on('data', (bytes: Buffer) => void got.push(read(bytes)));
  call.on('error', () => {});
  return {
    got,
    ask: (type, asked = {}) => void call.write(request(type, asked)),
    last(type) {
      const found = got.filter((one) => one.type === type).at(-1);
      if (!found) throw new Error(`nothing came of ${type}`);
      return found;
    },
    async until(check, everyMs = 10) {
      for (const end = Date.now() + 30_000; !check(); ) {
        if (Date.now() > end) throw new Error(`never: ${check}`);
        await new Promise<void>((resolve) => (everyMs === 0 ? setImmediate(resolve) : setTimeout(resolve, everyMs)));
      }
    },
    close() {
      call.cancel();
      client.close();
    },
  };
}

function request(type: TypeName, { waypoint = 'shop/waypoint', names = [], held = {} }: Asked): Buffer {
  const node = protobuf.Writer.create().uint32(10).string('proxy').uint32(18).string(waypoint).finish();
  const writer = protobuf.Writer.create().uint32(10).bytes(node).uint32(18).string(typeUrls[type]);
  for (const name of names) writer.uint32(26).string(name);
  for (const [name, version] of Object.entries(held)) {
    writer.uint32(42).bytes(protobuf.Writer.create().uint32(10).string(name).uint32(18).string(version).finish());
  }
  return Buffer.from(writer.finish());
}

function read(bytes: Buffer): Got {
  const reader = protobuf.Reader.create(bytes);
  const names: string[] = [];
  const removed: string[] = [];
  let url = '';
  while (reader.pos < bytes.length) {
    const tag = reader.uint32();
    if (tag === 18) names.push(nameOf(reader.bytes()));
    else if (tag === 34) url = reader.string();
    else if (tag === 50) removed.push(reader.string());
    else reader.skipType(tag & 7);
  }
  return { type: typeNames.find((name) => typeUrls[name] === url) as TypeName, names, removed };
}

function nameOf(resource: Uint8Array): string {
  const reader = protobuf.Reader.create(resource);
  while (reader.pos < resource.length) {
    const tag = reader.uint32();
    if (tag === 26) return reader.string();
    reader.skipType(tag & 7);
  }
  return '';
}
