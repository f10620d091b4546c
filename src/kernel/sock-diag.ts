// SPDX-License-Identifier: Apache-2.0
// sock_diag(7): handshakes of TCP that are under way where the thread is, which no program can destroy.
import { KmeshError } from '../errors.ts';
import { type Address, addressOf } from '../net/address.ts';
import { exchange, type NetlinkRequest, netlinkFlag } from './netlink.ts';

/** A handshake that a peer began. */
export interface Handshake {
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly destinationPort: number;
  /** AF_* of its listener. */
  readonly family: number;
  /** struct inet_diag_sockid: with the cookie, so that nothing else is ever taken for it. */
  readonly id: Uint8Array;
}

const NETLINK_SOCK_DIAG = 4;
/** The older request: the kernel answers it for both families in one walk. */
const TCPDIAG_GETSOCK = 18;
const SOCK_DESTROY = 21;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
const requestedOnly = 1 << 12; // TCP_NEW_SYN_RECV
const idSize = 48;
/** struct inet_diag_req, up to the states; they and idiag_dbs follow. */
const olderStates = 4 + idSize;
const ENOENT = 2;
const EOPNOTSUPP = 95;

/** False: it is not there, or the kernel was built without (CONFIG_INET_DIAG, CONFIG_INET_DIAG_DESTROY). */
function asked(what: string, request: Omit<NetlinkRequest, 'protocol'>): readonly DataView[] | undefined {
  const answer = exchange({ protocol: NETLINK_SOCK_DIAG, ...request });
  if (!('why' in answer)) return answer.bodies;
  if (answer.errno === ENOENT || answer.errno === EOPNOTSUPP) return undefined;
  throw new KmeshError('KM_NETNS', `${what}: ${answer.why}`);
}

function decode(body: DataView): Handshake | undefined {
  const family = body.getUint8(0);
  const size = family === AF_INET6 ? 16 : 4;
  const bytes = (offset: number, length: number) => new Uint8Array(body.buffer, body.byteOffset + offset, length);
  // struct inet_diag_msg: four bytes, then the socket's id
  const destination = addressOf(bytes(8, size));
  const source = addressOf(bytes(24, size));
  if (destination === undefined || source === undefined) return undefined;
  const ports = { destinationPort: body.getUint16(4), sourcePort: body.getUint16(6) };
  return { source, destination, ...ports, family, id: bytes(4, idSize) };
}

/** All that are under way now. */
export function listHandshakes(): Handshake[] {
  const body = new Uint8Array(olderStates + 8);
  new DataView(body.buffer).setUint32(olderStates, requestedOnly, true);
  const answers = asked('handshakes cannot be read', { kind: TCPDIAG_GETSOCK, flags: netlinkFlag.dump, body });
  return (answers ?? []).flatMap((answer) => decode(answer) ?? []);
}

/** Ends one: what its client sends from now on is a new connection, or refused. False: it was not there any more. */
export function endHandshake({ family, id }: Handshake): boolean {
  const body = new Uint8Array(8 + idSize); // struct inet_diag_req_v2
  body.set([family, IPPROTO_TCP]);
  body.set(id, 8);
  const what = 'a handshake cannot be ended';
  return asked(what, { kind: SOCK_DESTROY, flags: netlinkFlag.acknowledged, body }) !== undefined;
}
