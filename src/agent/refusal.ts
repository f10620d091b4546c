// SPDX-License-Identifier: Apache-2.0
// What a plan left out, as an error to show.
import type { Refusal } from '../compile/plan.ts';
import { KmeshError } from '../errors.ts';
import { sizeFlag } from '../kernel/sizes.ts';

/** KM_MAP_FULL naming service, map, what is needed and free, and the option that raises it; KM_INTERNAL for a delta that contradicts itself. */
export function refusalError(refusal: Refusal): KmeshError {
  const who =
    refusal.workload === '' ? refusal.services.map((s) => `"${s}"`).join(', ') : `client "${refusal.workload}"`;
  const message = `${refusal.workload === '' ? `service ${who || 'without a name'}` : who} stays as it was: ${refusal.reason}`;
  const { shortage } = refusal;
  if (!shortage) return new KmeshError('KM_INTERNAL', message);
  const flag = sizeFlag(shortage.map);
  return new KmeshError('KM_MAP_FULL', message, {
    ...(flag === undefined ? {} : { hint: `give it more room with ${flag}` }),
    facts: { map: shortage.map, needed: shortage.needed, free: shortage.free },
  });
}
