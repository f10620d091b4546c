// SPDX-License-Identifier: Apache-2.0
// Waypoints written straight into the maps: what a plan would make of them.
import { backendFlag, endpointFlag, settingFlag, viaFlag } from '../../src/abi/structs.ts';
import type { Mesh } from './mesh.ts';

export interface Via {
  /** Name of the backend that is dialled. */
  readonly service: string;
  /** Name of the waypoint's backend. */
  readonly waypoint: string;
  /** What the waypoint wants to read first; default 'proxy'. */
  readonly header?: 'proxy' | 'kmesh' | 'none';
  readonly unready?: 'refuse' | 'direct';
  readonly serverFirst?: true;
}

const kinds = { proxy: endpointFlag.proxy, kmesh: endpointFlag.kmesh, none: 0 };

/** Puts each waypoint before its service, until the mesh's next want(). */
export function through(mesh: Mesh, ...vias: readonly Via[]): void {
  const endpoints = mesh.plane.map('endpoint');
  const backends = mesh.plane.map('backend');
  let free = endpoints.maxEntries;
  for (const { service, waypoint, header: kind = 'proxy', unready, serverFirst } of vias) {
    const own = held(mesh, service);
    const way = held(mesh, waypoint);
    for (let i = 1; i <= way.workloadIds.length; i++) {
      const slot = endpoints.get(way.first + i);
      if (slot) endpoints.put([[way.first + i, { ...slot, flags: kinds[kind] }]]);
    }
    const header = mesh.plane.header(own.first);
    const first = free - header.count - 2;
    free = first;
    for (let i = 1; i <= header.count; i++) {
      const slot = endpoints.get(own.first + i);
      if (slot) endpoints.put([[first + i, slot]]);
    }
    const flags = (unready === 'direct' ? viaFlag.direct : 0) | (serverFirst ? viaFlag.refuse : 0);
    endpoints.put([[first + 1 + header.count, { backend_id: way.id, flags }]]);
    endpoints.put([[first, { ...header, flags: header.flags | backendFlag.via }]]);
    backends.put([[own.id, { first, generation: own.generation }]]);
  }
}

function held(mesh: Mesh, name: string) {
  const found = mesh.image.backends.get(name);
  if (!found) throw new Error(`no backend is named ${name}`);
  return found;
}

/** Frontends with port 0 count from now on. */
export function withAnyPort(mesh: Mesh): void {
  const map = mesh.plane.map('setting');
  const now = map.get(0);
  if (now) map.put([[0, { ...now, flags: now.flags | settingFlag.anyPort }]]);
}

/** One type-length-value part of a PROXY header. */
export function part(type: number, text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(type, bytes.length >> 8, bytes.length & 255), bytes]);
}

/** What headers of a pod's connections, and of those to a service, say beside the addresses. */
export function named(mesh: Mesh, map: 'waypoint_client' | 'waypoint_service', id: number, parts: Uint8Array[]): void {
  const tlvs = Buffer.concat(parts);
  mesh.plane.map(map).put([[id, { id, length: tlvs.length, tlvs }]]);
}
