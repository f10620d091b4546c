// SPDX-License-Identifier: Apache-2.0
// One datagram to a unix socket, which Node cannot send: what sd_notify(3) does.
import { KmeshError } from '../errors.ts';
import { libc } from './libc.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const MSG_DONTWAIT = 0x40;
/** sockaddr_un: a u16 family, then the path. */
const pathOffset = 2;
const pathRoom = 108;

/** Bytes of struct sockaddr_un; "@name" is the abstract socket "name", whose first byte is zero and which has no final one. */
export function unixAddress(path: string): Uint8Array {
  const abstract = path.startsWith('@');
  const name = Buffer.from(path);
  if (name.length === 0 || name.length + (abstract ? 0 : 1) > pathRoom) {
    throw new KmeshError('KM_IO', `"${path}" is no name for a unix socket`);
  }
  const out = new Uint8Array(pathOffset + name.length + (abstract ? 0 : 1));
  new DataView(out.buffer).setUint16(0, AF_UNIX, true);
  out.set(name, pathOffset);
  if (abstract) out[pathOffset] = 0;
  return out;
}

/** Binds the C library once; the result sends `text` to the socket at `path`. It throws KM_IO when nobody takes it; never waits. */
export function openNotify(path: string): (text: string) => void {
  const { socket, sendto, close, errno } = libc();
  const address = unixAddress(path);
  return (text) => {
    const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new KmeshError('KM_IO', `no unix socket: ${errno()}`);
    try {
      const data = Buffer.from(text);
      const sent = sendto(fd, data, data.length, MSG_NOSIGNAL | MSG_DONTWAIT, address, address.length);
      if (sent !== data.length) throw new KmeshError('KM_IO', `sending to "${path}" failed: ${errno()}`);
    } finally {
      close(fd);
    }
  };
}
