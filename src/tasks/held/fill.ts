// SPDX-License-Identifier: Apache-2.0
// How full each map is, from the maps alone.
import type { MapName } from '../../abi/maps.ts';
import { backendFlag, nameKind, slotsOfListed } from '../../abi/structs.ts';
import { countedMaps } from '../../compile/limited-maps.ts';
import { rangesOf, type TakenRange } from '../../compile/ranges.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';

export interface MapUse {
  readonly name: MapName;
  readonly used: number;
  readonly size: number;
  readonly percent: number;
  /** Arrays of ranges: 1 - largest free block / free slots. */
  readonly fragmentation?: number;
}

/** Hashes whose entries are simply counted. LRU hashes make room by themselves. */
const counted: readonly MapName[] = [...countedMaps, 'enrolled', 'enrolment', 'affinity', 'udp_flow', 'udp_reverse'];

/** Every map that can run out, as it stands; entries that change meanwhile may be missed. */
export function mapUse(plane: DataPlane): MapUse[] {
  const use = (name: MapName, used: number, fragmentation?: number): MapUse => {
    const size = plane.map(name).maxEntries;
    const percent = size === 0 ? 0 : Math.round((1000 * used) / size) / 10;
    return { name, used, size, percent, ...(fragmentation === undefined ? {} : { fragmentation }) };
  };
  const ranges = takenRanges(plane);
  const endpoint = fillOf(plane.map('endpoint').maxEntries, 1, ranges.endpoint);
  const maglev = fillOf(plane.map('maglev').maxEntries, 0, ranges.maglev);
  let workloads = 0;
  for (const [key] of plane.map('name').entries()) {
    if (key.kind === nameKind.workload && key.part === 0) workloads++;
  }
  return [
    ...counted.map((name) => use(name, plane.map(name).count())),
    use('backend', ranges.backends),
    use('endpoint', endpoint.used, endpoint.fragmentation),
    use('maglev', maglev.used, maglev.fragmentation),
    use('active', workloads),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function takenRanges(plane: DataPlane): { endpoint: TakenRange[]; maglev: TakenRange[]; backends: number } {
  const endpoint: TakenRange[] = [];
  const maglev: TakenRange[] = [];
  let backends = 0;
  for (const [id, { first, generation }] of plane.map('backend').entries()) {
    if (first === 0) continue;
    backends++;
    const header = plane.header(first);
    // A range that is being replaced is counted at the next look.
    if (header.backend_id !== id || header.generation !== generation) continue;
    const more =
      (header.flags & backendFlag.via) === 0 ? 0 : 1 + slotsOfListed(plane.via(first + 1 + header.count).listed);
    endpoint.push([first, header.count + 1 + more]);
    if (header.maglev_size > 0) maglev.push([header.maglev_first, Math.ceil(header.maglev_size / 2)]);
  }
  return { endpoint, maglev, backends };
}

/** Ranges of two moments may overlap while somebody writes: then only what is used is told. */
function fillOf(
  slots: number,
  firstSlot: number,
  taken: readonly TakenRange[],
): { readonly used: number; readonly fragmentation?: number } {
  try {
    const { used, fragmentation } = rangesOf(slots, firstSlot, taken).fill();
    return { used, fragmentation };
  } catch (fault) {
    if (!(fault instanceof RangeError)) throw fault;
    return { used: taken.reduce((sum, [, length]) => sum + length, 0) };
  }
}
