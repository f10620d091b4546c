// SPDX-License-Identifier: Apache-2.0
// Services that are reached through waypoints.
import type { WantedEndpoint } from '../../src/compile/wanted.ts';
import { libbpf } from '../../src/kernel/libbpf.ts';
import type { PinnedDataPlane } from '../../src/kernel/pinned.ts';
import type { ServiceSpec } from './wanted.ts';

export interface Via {
  /** Name of the service. */
  readonly service: string;
  /** Name of the waypoint: a backend of that name. */
  readonly waypoint: string;
  /** What the waypoint wants to read first; default 'proxy'. */
  readonly header?: 'proxy' | 'kmesh' | 'none';
  readonly unready?: 'refuse' | 'direct';
  readonly serverFirst?: true;
}

/** Name of a waypoint's backend. */
export const wayName = (waypoint: string): string => `waypoint:shop/${waypoint}/4`;

function wanting(endpoints: readonly WantedEndpoint[], header: Via['header']): WantedEndpoint[] {
  return endpoints.map((e) => (header === 'none' ? e : { ...e, header: header ?? 'proxy' }));
}

/** The specs, those that `vias` name as services behind those that they name as waypoints. */
export function through(specs: readonly ServiceSpec[], ...vias: readonly Via[]): ServiceSpec[] {
  return specs.map((spec) => {
    const out = vias.find(({ service }) => service === spec.name);
    if (out) {
      const { waypoint, unready = 'refuse', serverFirst = false } = out;
      return { ...spec, via: { backend: wayName(waypoint), unready, serverFirst } };
    }
    const into = vias.find(({ waypoint }) => waypoint === spec.name);
    if (!into) return spec;
    return { ...spec, name: wayName(spec.name), endpoints: wanting(spec.endpoints, into.header) };
  });
}

/** How many connections to waypoints are there whose header has not arrived. */
export function waiting(plane: PinnedDataPlane): number {
  const key = Buffer.alloc(8);
  let count = 0;
  while (libbpf().bpf_map_get_next_key(plane.fd('waypoint_sock'), count === 0 ? null : key, key) === 0) count++;
  return count;
}
