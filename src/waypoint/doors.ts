// SPDX-License-Identifier: Apache-2.0
// Where proxies connect to over TCP: so many at once, and who asks for nothing makes room first.
import { lookup } from 'node:dns/promises';
import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net';

export interface Doors {
  /** Listens, and gives the address with the port that it became. Each connection goes to `enter`. */
  listen(host: string, port: number, enter: (socket: Socket) => void): Promise<string>;
  /** A stream of this peer began. @returns what to call when it has ended. */
  stream(peer: string): () => void;
  close(): void;
}

interface Guest {
  readonly socket: Socket;
  streams: number;
}

/** `turnedAway`: a connection was ended because there were too many. */
export function openDoors(
  most: number,
  turnedAway: (reason: 'too_many', peer: string, details: string) => void,
): Doors {
  /** By peer, the oldest first. */
  const guests = new Map<string, Guest>();
  const servers = new Set<Server>();

  /** Ends the oldest that has no stream; false: all have one. */
  const makeRoom = (): boolean => {
    for (const [peer, { socket, streams }] of guests) {
      if (streams > 0) continue;
      guests.delete(peer);
      socket.destroy();
      turnedAway('too_many', peer, `there are ${most} connections, and this one has had no stream for longest`);
      return true;
    }
    return false;
  };
  const take = (socket: Socket, enter: (socket: Socket) => void): void => {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    // Also before anybody reads from it.
    socket.on('error', () => {});
    if (guests.size >= most && !makeRoom()) {
      socket.destroy();
      turnedAway('too_many', peer, `there are ${most} connections with streams`);
      return;
    }
    const guest = { socket, streams: 0 };
    guests.set(peer, guest);
    socket.on('close', () => {
      if (guests.get(peer) === guest) guests.delete(peer);
    });
    enter(socket);
  };
  const open = (host: string, port: number, enter: (socket: Socket) => void): Promise<number> =>
    new Promise((resolve, reject) => {
      const server = createServer((socket) => take(socket, enter));
      server.once('error', reject);
      server.listen(port, host, () => {
        servers.add(server);
        server.off('error', reject);
        // One that could not be accepted.
        server.on('error', () => {});
        resolve((server.address() as AddressInfo).port);
      });
    });

  return {
    async listen(host, port, enter) {
      const addresses = isIP(host) ? [host] : (await lookup(host, { all: true })).map(({ address }) => address);
      let became = port;
      const faults: unknown[] = [];
      for (const address of new Set(addresses)) {
        try {
          became = await open(address, became, enter);
        } catch (fault) {
          faults.push(fault);
        }
      }
      // A name may have addresses that are not here: ::1 where there is no IPv6.
      if (faults.length === new Set(addresses).size) throw faults[0];
      return host.includes(':') ? `[${host}]:${became}` : `${host}:${became}`;
    },
    stream(peer) {
      const guest = guests.get(peer);
      if (!guest) return () => {};
      guest.streams++;
      return () => {
        guest.streams--;
      };
    },
    close() {
      for (const server of servers) server.close();
      for (const { socket } of guests.values()) socket.destroy();
    },
  };
}
