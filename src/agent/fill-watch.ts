// SPDX-License-Identifier: Apache-2.0
// Says once that a map is about to be full, and again when that happens anew.
import { type LimitedMap, limitedMaps, type MapFill } from '../compile/limited-maps.ts';

export type Fills = Readonly<Record<LimitedMap, MapFill>>;

/** What has no room. */
interface Lacking {
  readonly shortage?: { readonly map: LimitedMap } | undefined;
}

export interface FillWatch {
  /** Calls back for each map that has come to 80 %, or that something did not fit into. */
  look(fills: Fills, refused: readonly Lacking[]): void;
  /** The maps are others now. */
  forget(): void;
}

const nearlyFull = 0.8;
/** Below this a map counts as having room again: not just under the mark, or it would be told over and over. */
const roomAgain = 0.75;

export function fillWatch(tell: ((map: LimitedMap, fill: MapFill) => void) | undefined): FillWatch {
  const told = new Set<LimitedMap>();
  return {
    look(fills, refused) {
      const lacking = new Set(refused.map((r) => r.shortage?.map));
      for (const map of limitedMaps) {
        const fill = fills[map];
        const share = fill.used / fill.size;
        const full = share >= nearlyFull || lacking.has(map);
        if (full && !told.has(map)) {
          told.add(map);
          tell?.(map, fill);
        } else if (!full && share < roomAgain) {
          told.delete(map);
        }
      }
    },
    forget: () => told.clear(),
  };
}
