// SPDX-License-Identifier: Apache-2.0
// As much of WebSocket (RFC 6455) as an echo needs: unfragmented binary frames over a socket that was upgraded.
import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';

const binary = 0x82;
const mustMask = 0x80;

/** What the server's Sec-WebSocket-Accept says for a client's Sec-WebSocket-Key. */
export const acceptOf = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');

/** A client masks what it sends, a server does not. */
export function frame(data: Buffer, masked: boolean): Buffer {
  const { length } = data;
  const bit = masked ? mustMask : 0;
  let head: Buffer;
  if (length < 126) head = Buffer.from([binary, bit | length]);
  else if (length < 65_536) head = Buffer.from([binary, bit | 126, length >> 8, length & 255]);
  else {
    head = Buffer.alloc(10);
    head.writeUInt16BE((binary << 8) | bit | 127);
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  if (!masked) return Buffer.concat([head, data]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, data.map((byte, i) => byte ^ (mask[i % 4] as number))]);
}

/** Calls back with the data of each whole frame. */
export function onFrames(socket: Duplex, head: Buffer, take: (data: Buffer) => void): void {
  let held = head;
  const cut = () => {
    for (let next = first(held); next; next = first(held)) {
      held = held.subarray(next.size);
      take(next.data);
    }
  };
  socket.on('data', (part: Buffer) => {
    held = Buffer.concat([held, part]);
    cut();
  });
  cut();
}

function first(held: Buffer): { readonly size: number; readonly data: Buffer } | undefined {
  if (held.length < 2) return undefined;
  const short = (held[1] as number) & 127;
  const lengthSize = short === 126 ? 2 : short === 127 ? 8 : 0;
  const masked = ((held[1] as number) & mustMask) !== 0;
  const start = 2 + lengthSize + (masked ? 4 : 0);
  if (held.length < start) return undefined;
  const length = lengthSize === 0 ? short : lengthSize === 2 ? held.readUInt16BE(2) : Number(held.readBigUInt64BE(2));
  if (held.length < start + length) return undefined;
  const raw = held.subarray(start, start + length);
  const mask = held.subarray(start - 4, start);
  return {
    size: start + length,
    data: masked ? (raw.map((byte, i) => byte ^ (mask[i % 4] as number)) as Buffer) : raw,
  };
}
