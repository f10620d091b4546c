// SPDX-License-Identifier: Apache-2.0
// Messages of gRPC: out of the pieces that a stream comes in, and the head that each has on its way.

/** Compressed or not (1 byte), length (4 bytes). */
const headBytes = 5;

/** What cannot be a message: the stream is of no more use. */
export class FrameFault extends Error {
  readonly status: 'RESOURCE_EXHAUSTED' | 'INTERNAL';

  constructor(status: FrameFault['status'], message: string) {
    super(message);
    this.status = status;
  }
}

/** The head of a message of so many bytes. */
export function headOf(length: number): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(length, 1);
  return head;
}

export interface Frames {
  /** @returns the messages that end in this piece, in order. Throws a FrameFault. */
  take(piece: Uint8Array): Uint8Array[];
}

/**
 * Each piece is copied to its place as it comes: to join those of a large message once it is there would hold up the event loop, as every page
 * of new memory is written for the first time then.
 */
export function openFrames(maxBytes: number): Frames {
  const head = Buffer.alloc(headBytes);
  let headFilled = 0;
  let message: Buffer | undefined;
  let filled = 0;

  const lengthOf = (): number => {
    if (head[0] !== 0) throw new FrameFault('INTERNAL', 'Received a compressed message, which nobody asked for');
    const length = head.readUInt32BE(1);
    if (length > maxBytes)
      throw new FrameFault('RESOURCE_EXHAUSTED', `Received message larger than max (${length} vs ${maxBytes})`);
    return length;
  };

  return {
    take(piece) {
      const out: Uint8Array[] = [];
      for (let at = 0; at < piece.length; ) {
        if (message === undefined) {
          const part = piece.subarray(at, at + headBytes - headFilled);
          head.set(part, headFilled);
          headFilled += part.length;
          at += part.length;
          if (headFilled < headBytes) break;
          headFilled = 0;
          const length = lengthOf();
          if (at + length <= piece.length) {
            out.push(piece.subarray(at, at + length));
            at += length;
            continue;
          }
          // Memory that is not touched before a piece comes costs nothing.
          message = Buffer.allocUnsafeSlow(length);
          filled = 0;
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
