// SPDX-License-Identifier: Apache-2.0
// Who owns a host name: in each namespace a Kubernetes service, else the oldest entry; and which of all namespaces' is canonical.
import { serviceHost } from '../names.ts';
import type { ServiceEntryObject, ServiceObject } from '../objects.ts';

export type Owner = ServiceObject | ServiceEntryObject;

interface Aged {
  readonly created?: number;
  readonly namespace: string;
  readonly name: string;
}

/** Oldest first; without a time last; equals by namespace and name. */
export function older(a: Aged, b: Aged): number {
  const [x, y] = [a.created ?? Number.POSITIVE_INFINITY, b.created ?? Number.POSITIVE_INFINITY];
  if (x !== y) return x < y ? -1 : 1;
  const [p, q] = [`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`];
  return p < q ? -1 : p > q ? 1 : 0;
}

/** Host names that an object offers as services. */
export function hostsOf(owner: Owner): readonly string[] {
  if (owner.kind === 'Service') return owner.external ? [] : [serviceHost(owner.namespace, owner.name)];
  return owner.visibility === 'none' ? [] : owner.hosts;
}

export interface Ownership {
  /** Namespace -> who owns the host there. */
  readonly owners: ReadonlyMap<string, Owner>;
  /** Namespace of the one that clients of other namespaces get; '' when there is none. */
  readonly canonical: string;
  readonly losers: readonly { readonly loser: Owner; readonly winner: Owner }[];
}

/** Settles who owns a host name among all that offer it. */
export function settleOwners(offers: Iterable<Owner>): Ownership {
  const sorted = [...offers].sort((a, b) => (a.kind === b.kind ? older(a, b) : a.kind === 'Service' ? -1 : 1));
  const owners = new Map<string, Owner>();
  const losers: { loser: Owner; winner: Owner }[] = [];
  let canonical = '';
  for (const offer of sorted) {
    const winner = owners.get(offer.namespace);
    if (winner) {
      losers.push({ loser: offer, winner });
      continue;
    }
    owners.set(offer.namespace, offer);
    if (canonical === '' && (offer.kind === 'Service' || offer.visibility === 'public')) canonical = offer.namespace;
  }
  return { owners, canonical, losers };
}
