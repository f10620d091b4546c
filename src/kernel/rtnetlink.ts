// SPDX-License-Identifier: Apache-2.0
// rtnetlink(7): links, addresses and names of other network namespaces, as the namespace sees them that the thread is in.
import { readSync, writeSync } from 'node:fs';
import { KmeshError } from '../errors.ts';
import { type Address, addressOf } from '../net/address.ts';
import { libc } from './libc.ts';

export interface NetLink {
  readonly index: number;
  readonly name: string;
  /** "veth", "bridge"; '' for hardware and lo. */
  readonly kind: string;
  /** Index of the link at the other end of a veth pair, in the namespace `peerNetns`; 0: there is none. */
  readonly peer: number;
  /** Name (nsid) of the peer's namespace in this one; undefined: it is this one. */
  readonly peerNetns: number | undefined;
}

export interface NetAddress {
  /** Index of the link that has it. */
  readonly link: number;
  readonly address: Address;
  /** enum rt_scope_t: 0 is valid everywhere. */
  readonly scope: number;
}

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
const NETLINK_ROUTE = 0;
const REQUEST = 1;
const DUMP = 0x301;
const headerSize = 16;
/** Larger than the kernel makes a part of a dump. */
const readSize = 64 * 1024;
const type = { error: 2, done: 3, getLink: 18, getAddress: 22, getNetnsId: 90 } as const;
const attribute = {
  linkName: 3,
  linkPeer: 5,
  linkInfo: 18,
  infoKind: 1,
  linkPeerNetns: 37,
  address: 1,
  local: 2,
  netnsId: 1,
  netnsFd: 3,
} as const;

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
function attributes(data: DataView, offset: number): Map<number, DataView> {
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

const textOf = (data: DataView | undefined): string =>
  data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8').replace(/\0.*$/s, '') : '';

/** Sends one request and gives the bodies of all answers. */
function ask(what: string, kind: number, flags: number, body: Uint8Array): DataView[] {
  const { socket, close, errno } = libc();
  const fail = (why: string) => new KmeshError('KM_NETNS', `${what} cannot be read: ${why}`);
  const fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw fail(errno());
  try {
    const request = new Uint8Array(headerSize + body.length);
    const view = new DataView(request.buffer);
    view.setUint32(0, request.length, true);
    view.setUint16(4, kind, true);
    view.setUint16(6, flags, true);
    request.set(body, headerSize);
    writeSync(fd, request);
    const answers: DataView[] = [];
    for (;;) {
      const part = new Uint8Array(readSize);
      const length = readSync(fd, part);
      for (const { type: answer, body: content } of messages(new DataView(part.buffer, 0, length))) {
        if (answer === type.done) return answers;
        if (answer === type.error) throw fail(`error ${-content.getInt32(0, true)}`);
        answers.push(content);
      }
      if (flags !== DUMP) return answers;
    }
  } finally {
    close(fd);
  }
}

/** Every link of the namespace that the thread is in. */
export function listLinks(): NetLink[] {
  const size = 16; // struct ifinfomsg
  return ask('links', type.getLink, DUMP, new Uint8Array(size)).map((body) => {
    const found = attributes(body, size);
    const info = found.get(attribute.linkInfo);
    return {
      index: body.getInt32(4, true),
      name: textOf(found.get(attribute.linkName)),
      kind: info ? textOf(attributes(info, 0).get(attribute.infoKind)) : '',
      peer: found.get(attribute.linkPeer)?.getUint32(0, true) ?? 0,
      peerNetns: found.get(attribute.linkPeerNetns)?.getInt32(0, true),
    };
  });
}

/** Every address of the namespace that the thread is in. */
export function listAddresses(): NetAddress[] {
  const size = 8; // struct ifaddrmsg
  return ask('addresses', type.getAddress, DUMP, new Uint8Array(size)).flatMap((body) => {
    const found = attributes(body, size);
    // On a point-to-point link the first is the other end's.
    const data = found.get(attribute.local) ?? found.get(attribute.address);
    const address = data && addressOf(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return address ? [{ link: body.getUint32(4, true), address, scope: body.getUint8(3) }] : [];
  });
}

/** The name (nsid) that the thread's namespace has for the one behind `fd`; undefined when it has none. */
export function netnsIdOf(fd: number): number | undefined {
  const body = new Uint8Array(12);
  const view = new DataView(body.buffer);
  // struct rtgenmsg, then one attribute
  view.setUint16(4, 8, true);
  view.setUint16(6, attribute.netnsFd, true);
  view.setUint32(8, fd, true);
  const [answer] = ask('names of network namespaces', type.getNetnsId, REQUEST, body);
  const id = answer && attributes(answer, 4).get(attribute.netnsId)?.getInt32(0, true);
  return id === undefined || id < 0 ? undefined : id;
}
