// SPDX-License-Identifier: Apache-2.0
// Resources of all sorts as bytes, at once.
import type { Resources } from '../../src/compile/l7/compile.ts';
import { finish } from '../../src/mesh/steps.ts';
import { openEncoder, type Snapshot } from '../../src/waypoint/snapshot.ts';
import { typeNames } from '../../src/waypoint/types.ts';

/** Encodes what is another object than it was the time before. */
export function openWholeEncoder(): (resources: Resources) => Snapshot {
  const encode = openEncoder();
  return (resources) =>
    Object.fromEntries(typeNames.map((type) => [type, finish(encode(type, resources[type]))])) as unknown as Snapshot;
}
