// SPDX-License-Identifier: Apache-2.0
// What a plan left out, as an error to show.
import type { Refusal } from '../compile/plan.ts';
import { KmeshError } from '../errors.ts';
import { sizeFlag } from '../kernel/sizes.ts';

function textOf({ workload, services, port, reason }: Refusal): string {
  if (port !== undefined) {
    return `waypoint port "${port}": ${reason}; until it has some, connections to any port that the filter takes for it are refused`;
  }
  if (workload !== '') return `client "${workload}" stays as it was: ${reason}`;
  const who = services.map((s) => `"${s}"`).join(', ');
  return `service ${who || 'without a name'} stays as it was: ${reason}`;
}

/** KM_MAP_FULL naming service, client or port, map, what is needed and free, and the option that raises it; KM_INTERNAL for a delta that contradicts itself. */
export function refusalError(refusal: Refusal): KmeshError {
  const message = textOf(refusal);
  const { shortage } = refusal;
  if (!shortage) return new KmeshError('KM_INTERNAL', message);
  const flag = sizeFlag(shortage.map);
  return new KmeshError('KM_MAP_FULL', message, {
    ...(flag === undefined ? {} : { hint: `give it more room with ${flag}` }),
    facts: { map: shortage.map, needed: shortage.needed, free: shortage.free },
  });
}
