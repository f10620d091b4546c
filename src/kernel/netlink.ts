// SPDX-License-Identifier: Apache-2.0
// netlink(7): one request to the kernel and its answers, of the network namespace that the thread is in.
import { readSync, writeSync } from 'node:fs';
import { libc } from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
/** Flags of requests. */
export const netlinkFlag = { request: 1, acknowledged: 5, dump: 0x301 } as const;
const type = { error: 2, done: 3 } as const;
const headerSize = 16;
/** Larger than the kernel makes a part of a dump. */
const readSize = 64 * 1024;

const align = (length: number): number => (length + 3) & ~3;

function* messages(data: DataView): Generator<{ readonly type: number; readonly body: DataView }> {
  for (let at = 0; at + headerSize <= data.byteLength; ) {
    const length = data.getUint32(at, true);
    if (length < headerSize) return;
    const body = new DataView(data.buffer, data.byteOffset + at + headerSize, length - headerSize);
    yield { type: data.getUint16(at + 4, true), body };
    at += align(length);
  }
}

/** Attributes from `offset` on, by number. */
export function attributes(data: DataView, offset: number): Map<number, DataView> {
  const found = new Map<number, DataView>();
  for (let at = offset; at + 4 <= data.byteLength; ) {
    const length = data.getUint16(at, true);
    if (length < 4) break;
    // The two high bits are flags.
    const kind = data.getUint16(at + 2, true) & 0x3fff;
    found.set(kind, new DataView(data.buffer, data.byteOffset + at + 4, length - 4));
    at += align(length);
  }
  return found;
}

export interface NetlinkRequest {
  /** NETLINK_* */
  readonly protocol: number;
  readonly kind: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** Bodies of all answers, or why there are none. */
export type NetlinkAnswer =
  | { readonly bodies: readonly DataView[] }
  /** errno: the kernel's answer, by its number; undefined: it could not be asked. */
  | { readonly why: string; readonly errno: number | undefined };

export function exchange({ protocol, kind, flags, body }: NetlinkRequest): NetlinkAnswer {
  const { socket, close, errno } = libc();
  const fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol);
  if (fd < 0) return { why: errno(), errno: undefined };
  try {
    const request = new Uint8Array(headerSize + body.length);
    const view = new DataView(request.buffer);
    view.setUint32(0, request.length, true);
    view.setUint16(4, kind, true);
    view.setUint16(6, flags, true);
    request.set(body, headerSize);
    writeSync(fd, request);
    const bodies: DataView[] = [];
    for (;;) {
      const part = new Uint8Array(readSize);
      const length = readSync(fd, part);
      for (const { type: answer, body: content } of messages(new DataView(part.buffer, 0, length))) {
        if (answer === type.done) return { bodies };
        if (answer === type.error) {
          const code = -content.getInt32(0, true);
          return code === 0 ? { bodies } : { why: `error ${code}`, errno: code };
        }
        bodies.push(content);
      }
      if (flags !== netlinkFlag.dump) return { bodies };
    }
  } finally {
    close(fd);
  }
}
