// SPDX-License-Identifier: Apache-2.0
// What policies say of a connection, in their own words.
import type { AuthzExplanation } from '../admin/authz.ts';
import type { AuthzExplainQuery } from '../admin/routes.ts';
import { inBag } from '../compile/authz/bags.ts';
import type { AuthzIndex } from '../compile/authz/compile.ts';
import { explain } from '../compile/authz/explain.ts';
import { exempt } from '../compile/authz/sources.ts';
import { tell } from '../compile/authz/tell.ts';
import { KmeshError } from '../errors.ts';
import { identityOf, ownerOf, principalOf } from '../mesh/identity.ts';
import type { Workload } from '../mesh/workload.ts';
import { type Address, parseAddress } from '../net/address.ts';

function addressIn(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new KmeshError('KM_USAGE', `"${text}" is no address`);
  return address;
}

/** The workload that owns an address, as policies see it. */
function ownerAt({ of, sources }: AuthzIndex, address: Address): Workload | undefined {
  if (!of) return undefined;
  const { workloads } = of.model;
  const here: Workload[] = [];
  if (sources.asked) {
    for (const uid of inBag(sources.owners, address)) {
      const workload = workloads.get(uid);
      if (workload) here.push(workload);
    }
  } else {
    // No policy asks: nobody keeps them in order.
    workloads.forEach((workload) => {
      if (workload.addresses.includes(address)) here.push(workload);
    });
  }
  return ownerOf(here, of.view.network);
}

/** @throws KmeshError KM_USAGE when an address is none; KM_NOT_FOUND when the destination is no judged pod's, or nothing is known of it yet. */
export function explainAuthz(index: AuthzIndex, query: AuthzExplainQuery): AuthzExplanation {
  const source = addressIn(query.source);
  const destination = index.destinations.get(addressIn(query.destination));
  if (!destination) {
    throw new KmeshError('KM_NOT_FOUND', `no workload that is judged is known to have ${query.destination}`, {
      hint: '"kmeshctl authz status" lists those that are',
    });
  }
  const { workload, stack, closed, stale } = destination;
  const owner = ownerAt(index, source);
  const identity = owner && identityOf(owner);
  return {
    workload,
    owner: owner?.uid ?? '',
    principal: identity ? principalOf(identity) : '',
    exempt: index.sources.principals.get(source) === exempt,
    told: tell(explain(stack, { identity, source, port: query.port })),
    closed,
    stale,
  };
}
