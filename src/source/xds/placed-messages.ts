// SPDX-License-Identifier: Apache-2.0
// Large messages of gRPC without a hold-up. The library keeps the pieces of a message and joins them when the last one has come: 25 to 40 ms in
// one go for the 33 MB of a large mesh, most of it the first touch of new memory. Here each piece is copied to its place as it comes. There is
// no other way in than to replace that one method of the library, whose version is pinned; a test fails where it is not used any more.
import { StreamDecoder } from '@grpc/grpc-js/build/src/stream-decoder.js';
import { pieceRead } from './paced-socket.ts';

/** Compressed or not (1 byte), length (4 bytes). */
const headBytes = 5;

export interface Messages {
  /** @returns the messages that end in this piece, in order and with their heads */
  take(piece: Buffer): Buffer[];
}

/** `maxBytes`: of one message; -1: no limit. What is longer throws, with the library's own words. */
export function openMessages(maxBytes: number): Messages {
  const head = Buffer.alloc(headBytes);
  let headFilled = 0;
  /** Head included. */
  let message: Buffer | undefined;
  let filled = 0;

  const lengthOf = (): number => {
    const length = head.readUInt32BE(1);
    if (maxBytes !== -1 && length > maxBytes)
      throw new Error(`Received message larger than max (${length} vs ${maxBytes})`);
    return length;
  };

  return {
    take(piece) {
      const out: Buffer[] = [];
      for (let at = 0; at < piece.length; ) {
        if (message === undefined) {
          const part = piece.subarray(at, at + headBytes - headFilled);
          head.set(part, headFilled);
          headFilled += part.length;
          at += part.length;
          if (headFilled < headBytes) break;
          headFilled = 0;
          const length = lengthOf();
          if (at >= headBytes && at + length <= piece.length) {
            out.push(piece.subarray(at - headBytes, at + length));
            at += length;
            continue;
          }
          // Memory that is not touched before a piece comes costs nothing, whatever length is claimed.
          message = Buffer.allocUnsafeSlow(headBytes + length);
          message.set(head);
          filled = headBytes;
        }
        const part = piece.subarray(at, at + message.length - filled);
        message.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < message.length) break;
        out.push(message);
        message = undefined;
      }
      return out;
    },
  };
}

const messagesOf = new WeakMap<StreamDecoder, Messages>();

/** From now on messages are put together in place, on every stream of this process. */
export function placeMessages(): void {
  StreamDecoder.prototype.write = function (this: StreamDecoder, piece: Buffer): Buffer[] {
    let messages = messagesOf.get(this);
    if (!messages) {
      const { maxReadMessageLength } = this as unknown as { readonly maxReadMessageLength: number };
      messages = openMessages(maxReadMessageLength);
      messagesOf.set(this, messages);
    }
    pieceRead();
    return messages.take(piece);
  };
}
