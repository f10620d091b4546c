// SPDX-License-Identifier: Apache-2.0
// The endpoints behind a service's port for clients of one family on this node: family rules and locality over those that can serve.
import type { Protocol } from '../abi/structs.ts';
import type { NodeView } from '../mesh/model.ts';
import type { Service } from '../mesh/service.ts';
import type { Workload } from '../mesh/workload.ts';
import type { Address } from '../net/address.ts';
import type { Eligible, Out, Report } from './eligible.ts';
import { chooseByLocality } from './spread.ts';
import type { WantedEndpoint } from './wanted.ts';

/** Family of the address that the client dials. */
export type Family = 4 | 6;

type AddressOf = (e: Eligible) => Address | undefined;
const only4: AddressOf = (e) => e.address4;
const only6: AddressOf = (e) => e.address6;
const prefer6: AddressOf = (e) => e.address6 ?? e.address4;

/**
 * Sets of addresses to try, best first; the first that leaves anybody counts.
 * A v4 socket cannot be sent to IPv6, so a v4 address leads there only when nothing else is left (v6 sockets can dial it as v4-mapped).
 * An unconnected v6 datagram cannot be sent to a v4-mapped address, so UDP goes to IPv6 alone where any exists.
 */
function attempts(family: Family, protocol: Protocol): readonly AddressOf[] {
  if (family === 4) return [only4, only6];
  return protocol === 'udp' ? [only6, only4] : [prefer6];
}

/** The endpoints for clients that dial an address of `family`, sorted by uid. */
export function endpointsOf(
  service: Service,
  eligible: readonly Eligible[],
  view: NodeView,
  family: Family,
  protocol: Protocol,
  report?: Report,
): readonly WantedEndpoint[] {
  const outs = report && new Map<Workload, Out>();
  for (const addressFor of attempts(family, protocol)) {
    const has = (e: Eligible): boolean => addressFor(e) !== undefined;
    const pool = eligible.every(has) ? eligible : eligible.filter(has);
    if (pool.length === 0) continue;
    const farther = outs && ((w: Workload, out: Out) => void (outs.has(w) || outs.set(w, out)));
    const { chosen, weights } = chooseByLocality(service, pool, view, farther);
    if (chosen.length === 0) continue;
    if (report && outs) {
      const inside = new Set(chosen);
      for (const e of eligible) if (!inside.has(e)) report(e.workload, outs.get(e.workload) ?? otherFamily(family));
    }
    return chosen.map((e, i) => ({
      workload: e.workload.uid,
      address: addressFor(e) as Address,
      port: e.port,
      weight: weights?.[i] ?? e.workload.capacity,
    }));
  }
  for (const [workload, out] of outs ?? []) report?.(workload, out);
  return [];
}

function otherFamily(family: Family): Out {
  return { code: 'family', reason: `no IPv${family} address, others have one` };
}
