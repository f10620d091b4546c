// SPDX-License-Identifier: Apache-2.0
// rtnetlink(7): links, addresses and names of other network namespaces, as the namespace sees them that the thread is in.
import { KmeshError } from '../errors.ts';
import { type Address, addressOf } from '../net/address.ts';
import { attributes, exchange, netlinkFlag } from './netlink.ts';

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

const NETLINK_ROUTE = 0;
const type = { getLink: 18, getAddress: 22, getNetnsId: 90 } as const;
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

const textOf = (data: DataView | undefined): string =>
  data ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8').replace(/\0.*$/s, '') : '';

/** Sends one request and gives the bodies of all answers. */
function ask(what: string, kind: number, flags: number, body: Uint8Array): readonly DataView[] {
  const answer = exchange({ protocol: NETLINK_ROUTE, kind, flags, body });
  if ('why' in answer) throw new KmeshError('KM_NETNS', `${what} cannot be read: ${answer.why}`);
  return answer.bodies;
}

/** Every link of the namespace that the thread is in. */
export function listLinks(): NetLink[] {
  const size = 16; // struct ifinfomsg
  return ask('links', type.getLink, netlinkFlag.dump, new Uint8Array(size)).map((body) => {
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
  return ask('addresses', type.getAddress, netlinkFlag.dump, new Uint8Array(size)).flatMap((body) => {
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
  const [answer] = ask('names of network namespaces', type.getNetnsId, netlinkFlag.request, body);
  const id = answer && attributes(answer, 4).get(attribute.netnsId)?.getInt32(0, true);
  return id === undefined || id < 0 ? undefined : id;
}
