// SPDX-License-Identifier: Apache-2.0
// Rules whose backends have filters of their own. Envoy knows changes of headers by backend; all else is a route of its own, for that backend's share.
import type { BackendRef, HttpFilter, HttpRule } from '../../mesh/route.ts';

/** A rule for some of its requests. */
export interface RulePart {
  readonly rule: HttpRule;
  /** Of a million, how many requests are for this part and those before it; absent: all that are left. */
  readonly below?: number;
}

export const million = 1_000_000;

const isOfHeaders = ({ kind }: HttpFilter): boolean => kind === 'request-headers' || kind === 'response-headers';

/** One part where every filter can stand in one route. A backend that cannot be used has no filters: its share fails. */
export function partsOf(rule: HttpRule, isUsable: (backend: BackendRef) => boolean): readonly RulePart[] {
  const backends = rule.backends.filter(({ weight }) => weight > 0);
  if (backends.every(({ filters }) => filters.every(isOfHeaders))) return [{ rule }];
  const total = backends.reduce((sum, { weight }) => sum + weight, 0);
  let before = 0;
  return backends.map((backend, i) => {
    before += backend.weight;
    // Of what may stand once, the backend's own comes first and counts.
    const own = isUsable(backend) ? backend.filters.filter((filter) => !isOfHeaders(filter)) : [];
    const part = { ...rule, backends: [backend], filters: [...own, ...rule.filters] };
    return i === backends.length - 1 ? { rule: part } : { rule: part, below: Math.round((before / total) * million) };
  });
}
