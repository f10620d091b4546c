// SPDX-License-Identifier: Apache-2.0
// Who an address is to policies: kept for all addresses of the mesh while policies in use ask for identities, else for those of this node only.
import { type Identity, identityOf, ownerOf, principalOf } from '../../mesh/identity.ts';
import type { NodeView } from '../../mesh/model.ts';
import type { Steps } from '../../mesh/steps.ts';
import { emptyTable, type Table } from '../../mesh/table.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';
import { type Bags, type BagsEditor, editBags, inBag, noBags } from './bags.ts';
import type { PolicySet } from './set.ts';

/** Stands for a principal: an address of this node, which is exempt. No principal is called so. */
export const exempt = '*';

export interface KnownIdentity {
  readonly principal: string;
  readonly identity: Identity;
  /** How many addresses have it. */
  readonly addresses: number;
}

export interface Sources {
  /** Identities are kept; else only which addresses of this node are exempt. */
  readonly asked: boolean;
  readonly hosts: ReadonlySet<Address>;
  /** Address -> uids of workloads that have it. */
  readonly owners: Bags;
  /** Address -> principal of the workload that owns it, or `exempt`. */
  readonly principals: Table<string>;
  readonly identities: Table<KnownIdentity>;
  /** Namespace -> principals. */
  readonly namespaces: Bags;
}

export const noSources: Sources = {
  asked: false,
  hosts: new Set(),
  owners: noBags,
  principals: emptyTable(),
  identities: emptyTable(),
  namespaces: noBags,
};

export interface SourcesDelta {
  readonly addresses: ReadonlySet<Address>;
  /** Principals that came or left. */
  readonly identities: ReadonlySet<string>;
}

export interface SourcesEditor {
  replace(was: Workload | undefined, is: Workload | undefined): void;
  close(): Steps<{ readonly sources: Sources; readonly delta: SourcesDelta }>;
}

const nowhere: readonly Address[] = [];
const addressesAStep = 64;

/** @param workloads as they are once all were replaced */
export function editSources(
  before: Sources,
  workloads: ReadonlyMap<string, Workload>,
  { network }: NodeView,
): SourcesEditor {
  const { asked, hosts } = before;
  const owners = editBags(before.owners);
  const addressesOf = (workload: Workload | undefined): readonly Address[] => {
    // Those that share their node's addresses own none.
    if (!workload || workload.hostNetwork) return nowhere;
    return asked ? workload.addresses : workload.addresses.filter((address) => hosts.has(address));
  };
  const ownerAt = (address: Address): Workload | undefined => {
    const uids = owners.of(address);
    if (typeof uids === 'string') {
      const only = workloads.get(uids);
      return only && ownerOf([only], network);
    }
    return ownerOf(
      [...(uids ?? [])].flatMap((uid) => workloads.get(uid) ?? []),
      network,
    );
  };
  return {
    replace(was, is) {
      for (const address of addressesOf(was)) owners.remove(address, was?.uid as string);
      for (const address of addressesOf(is)) owners.add(address, is?.uid as string);
    },
    close: () => closing(before, owners, ownerAt),
  };
}

function* closing(
  before: Sources,
  owners: BagsEditor,
  ownerAt: (address: Address) => Workload | undefined,
): ReturnType<SourcesEditor['close']> {
  const { asked, hosts } = before;
  const principals = before.principals.edit();
  const addresses = new Set<Address>();
  /** What becomes of identities: one value for all addresses of each. */
  const moved = new Map<string, { principal: string; identity: Identity; addresses: number }>();
  const known = (principal: string, identity?: Identity) => {
    const held = moved.get(principal);
    if (held) return held;
    const was = before.identities.get(principal);
    const now = was ? { ...was } : identity && { principal, identity, addresses: 0 };
    if (now) moved.set(principal, now);
    return now;
  };
  const settle = (address: Address): void => {
    const owner = ownerAt(address);
    const identity = asked && owner ? identityOf(owner) : undefined;
    const now = identity ? principalOf(identity) : !owner && hosts.has(address) ? exempt : undefined;
    const was = before.principals.get(address);
    if (now === was) return;
    addresses.add(address);
    if (now === undefined) principals.delete(address);
    else {
      const of = identity && known(now, identity);
      if (of) of.addresses++;
      principals.set(address, of?.principal ?? now);
    }
    const had = was === undefined || was === exempt ? undefined : known(was);
    if (had) had.addresses--;
  };
  let seen = 0;
  for (const address of owners.touched()) {
    settle(address);
    if (++seen % addressesAStep === 0) yield;
  }
  if (before.principals.size === 0) for (const address of hosts) if (owners.of(address) === undefined) settle(address);
  const identities = before.identities.edit();
  const namespaces = editBags(before.namespaces);
  const cameOrLeft = new Set<string>();
  for (const [principal, now] of moved) {
    const held = before.identities.has(principal);
    if (now.addresses > 0) identities.set(principal, now);
    else identities.delete(principal);
    if (held === now.addresses > 0) continue;
    cameOrLeft.add(principal);
    if (held) namespaces.remove(now.identity.namespace, principal);
    else namespaces.add(now.identity.namespace, principal);
    if (++seen % addressesAStep === 0) yield;
  }
  const sources: Sources = {
    asked,
    hosts,
    owners: yield* owners.close(),
    principals: yield* principals.close(),
    identities: yield* identities.close(),
    namespaces: yield* namespaces.close(),
  };
  return { sources, delta: { addresses, identities: cameOrLeft } };
}

/** The identity of a source address; undefined: it has none, or it is exempt. */
export function identityAt({ principals, identities }: Sources, address: Address): Identity | undefined {
  const principal = principals.get(address);
  return principal === undefined ? undefined : identities.get(principal)?.identity;
}

/** Those that may need an entry in `set`: all others have its base vector. */
export function* concernedBy(set: PolicySet, { identities, namespaces }: Sources): Generator<KnownIdentity> {
  if (set.identity.compares) {
    yield* identities.values();
    return;
  }
  for (const atom of set.identity.exact) {
    const value = atom.slice(2);
    const slash = value.lastIndexOf('/');
    const principals = atom[0] === 'p' ? [value] : inBag(namespaces, atom[0] === 'n' ? value : value.slice(0, slash));
    for (const principal of principals) {
      const known = identities.get(principal);
      if (known && (atom[0] !== 'a' || known.identity.serviceAccount === value.slice(slash + 1))) yield known;
    }
  }
}
