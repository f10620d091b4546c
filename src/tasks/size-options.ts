// SPDX-License-Identifier: Apache-2.0
// The size flags of load, upgrade and agent as map sizes.
import { type MapName, maps } from '../abi/maps.ts';
import { KmeshError } from '../errors.ts';
import { isSizable, type MapSizes } from '../kernel/sizes.ts';

export interface SizeOptions {
  readonly maxFrontends?: number | undefined;
  /** Backends: one for each port and family of a service. */
  readonly maxServices?: number | undefined;
  /** Endpoints of all backends together; slots for headers and for ranges being replaced come on top. */
  readonly maxEndpoints?: number | undefined;
  /** "MAP=N" */
  readonly mapSize?: readonly string[] | undefined;
}

/** Slots for every endpoint asked for: half as many again hold headers and new ranges beside the old ones. */
const slotsPerEndpoint = 1.5;

function parseMapSize(text: string): readonly [MapName, number] {
  const [name = '', count] = text.split('=');
  if (count === undefined) throw new KmeshError('KM_USAGE', `--map-size must be MAP=N, got "${text}"`);
  if (!(name in maps) || !isSizable(name as MapName)) {
    const sizable = (Object.keys(maps) as MapName[]).filter(isSizable).join(', ');
    throw new KmeshError('KM_USAGE', `--map-size ${text}: there is no such map to size`, { hint: `maps: ${sizable}` });
  }
  const size = Number(count);
  if (!Number.isInteger(size) || size < 1 || size > 16_777_216) {
    throw new KmeshError('KM_USAGE', `--map-size ${text}: the size must be a whole number from 1 to 16777216`);
  }
  return [name as MapName, size];
}

/** Sizes by map; maps that nothing was said of are left out. KM_USAGE for what makes no sense. */
export function mapSizes(options: SizeOptions): MapSizes {
  const sizes: Partial<Record<MapName, number>> = {};
  if (options.maxFrontends !== undefined) sizes.frontend = options.maxFrontends;
  if (options.maxServices !== undefined) {
    sizes.backend = options.maxServices;
    sizes.robin = options.maxServices;
  }
  if (options.maxEndpoints !== undefined) sizes.endpoint = Math.ceil(options.maxEndpoints * slotsPerEndpoint);
  for (const text of options.mapSize ?? []) {
    const [name, size] = parseMapSize(text);
    sizes[name] = size;
  }
  return sizes;
}
