// SPDX-License-Identifier: Apache-2.0
// Walks over sockets by the pinned iterator programs.
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../abi/layout.ts';
import { denialFlag, denialRecord, deniedRecord, oldRecord, sockRecord } from '../abi/structs.ts';
import type { Denial, OldRecord, SockRecord } from './dataplane.ts';
import type { NetnsFinder } from './find-netns.ts';
import { createWalk, linkIterator, readWalk } from './link.ts';
import { inNetns, netnsOfCgroups } from './netns.ts';
import { withPin } from './pins.ts';
import { endHandshake, type Handshake, listHandshakes } from './sock-diag.ts';

function decodeAll<T>(layout: Layout<T>, bytes: Uint8Array): T[] {
  const found: T[] = [];
  for (let at = 0; at + layout.size <= bytes.length; at += layout.size) found.push(layout.decode(bytes, at));
  return found;
}

/** Links the iterator `name` of folder `progs` and hands it to `body`; `mapFd` for those over the elements of a map. */
function withIterator<T>(progs: string, name: string, mapFd: number | undefined, body: (linkFd: number) => T): T {
  return withPin(join(progs, name), (programFd) => {
    const linkFd = linkIterator(name, programFd, mapFd);
    try {
      return body(linkFd);
    } finally {
      closeSync(linkFd);
    }
  });
}

/** Socket storage of every socket that has any, whatever its network namespace. */
export function listSockets(progs: string, sockMapFd: number): SockRecord[] {
  return withIterator(progs, 'list_sockets', sockMapFd, (link) =>
    decodeAll(sockRecord, readWalk('list_sockets', createWalk('list_sockets', link))),
  );
}

/** Walks the sockets of every network namespace that processes of these cgroups are in; what the programs wrote, in a row. */
function walkNetns(progs: string, names: readonly string[], cgroupIds: Iterable<bigint>): Uint8Array {
  const spaces = netnsOfCgroups(cgroupIds);
  try {
    const parts = names.map((name) =>
      withIterator(progs, name, undefined, (link) => {
        const here: Uint8Array[] = [];
        for (const netns of spaces.byInode.values()) {
          here.push(
            readWalk(
              name,
              inNetns(netns, () => createWalk(name, link)),
            ),
          );
        }
        return Buffer.concat(here);
      }),
    );
    return Buffer.concat(parts);
  } finally {
    spaces.close();
  }
}

/** Sockets of enrolled cgroups that are older than the enrolment and not in the mesh. */
export function listOlder(progs: string, cgroupIds: Iterable<bigint>): OldRecord[] {
  return decodeAll(oldRecord, walkNetns(progs, ['list_old_tcp', 'list_old_udp'], cgroupIds));
}

/** Destroys connected UDP sockets whose endpoint has left: those sockets. */
export function sweepStaleUdp(progs: string, cgroupIds: Iterable<bigint>): SockRecord[] {
  const seen = new Map<bigint, SockRecord>();
  // A walk that fills its buffer shows the last socket again.
  for (const record of decodeAll(sockRecord, walkNetns(progs, ['sweep_udp'], cgroupIds)))
    seen.set(record.cookie, record);
  return [...seen.values()];
}

const waitingProgram = 'end_waiting';

/** Destroys connections that owe a waypoint a header. Nothing where programs of before waypoints are loaded. */
export function endWaiting(progs: string, cgroupIds: Iterable<bigint>): void {
  if (existsSync(join(progs, waitingProgram))) walkNetns(progs, [waitingProgram], cgroupIds);
}

const isRequest = ({ flags }: Denial): boolean => (flags & denialFlag.request) !== 0;

const endsOf = (source: string, sourcePort: number, destination: string, destinationPort: number): string =>
  [source, sourcePort, destination, destinationPort].join();

const endsOfHandshake = (one: Handshake): string =>
  endsOf(one.source, one.sourcePort, one.destination, one.destinationPort);

/** Ends the handshakes that these records are of; the records of those that were still there. */
function endHandshakes(denied: readonly Denial[]): Denial[] {
  if (denied.length === 0) return [];
  const under = new Map(listHandshakes().map((handshake) => [endsOfHandshake(handshake), handshake]));
  return denied.filter(({ source, source_port, destination, destination_port }) => {
    const ends = endsOf(source, source_port, destination, destination_port);
    const found = under.get(ends);
    // A walk that fills its buffer shows the last one again.
    under.delete(ends);
    return found !== undefined && endHandshake(found);
  });
}

/** True while a handshake that a peer began is under way there: much cheaper than a walk by a program. */
export function hasHandshakes(finder: NetnsFinder, netns: bigint): boolean {
  const fd = finder.open(netns);
  if (fd === undefined) return false; // gone
  try {
    return inNetns(fd, listHandshakes).length > 0;
  } finally {
    closeSync(fd);
  }
}

/** Judges the open inbound connections of these network namespaces again; those that it destroyed. */
export function recheckTcp(progs: string, finder: NetnsFinder, netns: Iterable<bigint>): Denial[] {
  const name = 'recheck_tcp';
  return withIterator(progs, name, undefined, (link) => {
    const found: Denial[] = [];
    for (const inode of netns) {
      const fd = finder.open(inode);
      if (fd === undefined) continue; // gone
      try {
        const walk = inNetns(fd, () => createWalk(name, link));
        const denied = decodeAll(denialRecord, readWalk(name, walk));
        const requests = denied.filter(isRequest);
        found.push(...denied.filter((record) => !isRequest(record)), ...inNetns(fd, () => endHandshakes(requests)));
      } finally {
        closeSync(fd);
      }
    }
    return found;
  });
}

/** Network namespaces with open connections that are denied now, by one walk over socket storage. */
export function deniedNetns(progs: string, sockMapFd: number): Set<bigint> {
  const name = 'list_denied';
  return withIterator(progs, name, sockMapFd, (link) => {
    const records = decodeAll(deniedRecord, readWalk(name, createWalk(name, link)));
    return new Set(records.map(({ netns }) => BigInt(netns)));
  });
}
