// SPDX-License-Identifier: Apache-2.0
// model -> what the kernel needs to judge connections to this node's workloads: policy sets, destinations, and who owns which address.
import { type Identity, identityOf, ownerOf, principalOf } from '../../mesh/identity.ts';
import type { Model, NodeView, Touched } from '../../mesh/model.ts';
import { type Policy, policyKey, refusedPolicy } from '../../mesh/policy.ts';
import { emptyTable, type Table } from '../../mesh/table.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';
import { type AuthzOptions, closingOf, type Holding, holdingOf } from './holding.ts';
import type { Stack } from './judge.ts';
import { compileSet, type PolicySet, packMembers } from './set.ts';

/** Policy sets that one destination can have. What would take more is closed, and the policy that went beyond is named. */
export const maxSets = 16;

/** An address of a workload of this node. */
export interface AuthzDestination {
  readonly workload: string;
  readonly stack: Stack;
  /** Policies that close it, and why. */
  readonly closed: readonly { readonly policy: string; readonly reason: string }[];
  /** Keys of those of which a later version was refused. */
  readonly stale: readonly string[];
}

export interface AuthzIndex {
  readonly model: Model;
  readonly holding: Holding;
  /** By the policies they were made of: workloads with the same policies share them. */
  readonly sets: ReadonlyMap<string, CompiledList>;
  readonly destinations: ReadonlyMap<Address, AuthzDestination>;
  /** uids of this node's workloads. */
  readonly local: ReadonlySet<string>;
  /** Address -> principal of the workload that owns it. */
  readonly sources: Table<string>;
  /** Principal -> identity, and how many addresses have it. */
  readonly identities: ReadonlyMap<string, { readonly identity: Identity; readonly addresses: number }>;
}

/** Policies that hold together: those of one workload's own, of a namespace, or of the mesh. */
interface CompiledList {
  readonly policies: readonly Policy[];
  readonly sets: readonly PolicySet[];
}

/** What differs from before; undefined: it is gone. */
export interface AuthzDelta {
  readonly destinations: ReadonlyMap<Address, AuthzDestination | undefined>;
  readonly sources: ReadonlyMap<Address, string | undefined>;
  /** Identities that came: sets may need entries for them before any address leads to them. */
  readonly identities: readonly Identity[];
}

export function emptyAuthz(model: Model): AuthzIndex {
  return {
    model,
    holding: holdingOf(new Map(), { onBadPolicy: 'keep', strictL7Deny: false }),
    sets: new Map(),
    destinations: new Map(),
    local: new Set(),
    sources: emptyTable(),
    identities: new Map(),
  };
}

/** Compiles again what was touched since `before` was made ('everything': all, or other options). */
export function compileAuthz(
  before: AuthzIndex,
  model: Model,
  view: NodeView,
  touched: Pick<Touched, 'workloads' | 'policies'> | 'everything',
  options: AuthzOptions,
): { readonly index: AuthzIndex; readonly delta: AuthzDelta } {
  const all = touched === 'everything';
  const workloads: Iterable<string> = all
    ? new Set([...before.model.workloads.keys(), ...model.workloads.keys()])
    : touched.workloads;
  const rules = all || touched.policies.size > 0;
  const owners = compileSources(before, model, view, workloads);
  const local = new Set(before.local);
  const again = new Set<string>();
  for (const uid of workloads) {
    const workload = model.workloads.get(uid);
    if (workload && view.node !== '' && workload.node === view.node && !workload.hostNetwork) local.add(uid);
    else if (!local.delete(uid)) continue;
    again.add(uid);
    // Who else has one of its addresses may get or lose it.
    for (const of of [before.model.workloads.get(uid), workload]) {
      for (const address of of?.addresses ?? []) for (const o of model.addresses.get(address) ?? []) again.add(o);
    }
  }
  const holding = rules ? holdingOf(model.policies, options) : before.holding;
  const compiler = openSets(before.sets);
  const destinations = new Map<Address, AuthzDestination>();
  const wanted = rules ? local : again;
  for (const [address, destination] of before.destinations) {
    if (!wanted.has(destination.workload) && local.has(destination.workload)) destinations.set(address, destination);
  }
  for (const uid of wanted) {
    const workload = model.workloads.get(uid);
    if (workload === undefined || !local.has(uid)) continue;
    for (const address of workload.addresses) {
      // Of two with the same address one is on its way out.
      const rival = destinations.get(address);
      const other = rival && model.workloads.get(rival.workload);
      if (other && ownerOf([other, workload], workload.network) !== workload) continue;
      destinations.set(address, destinationOf(workload, address, holding, compiler));
    }
  }
  const delta = new Map<Address, AuthzDestination | undefined>();
  for (const address of before.destinations.keys()) if (!destinations.has(address)) delta.set(address, undefined);
  for (const [address, now] of destinations) {
    const was = before.destinations.get(address);
    if (was === now) continue;
    if (was && sameDestination(was, now)) destinations.set(address, was);
    else delta.set(address, now);
  }
  const index = { model, holding, local, destinations, ...owners.index };
  return {
    index: { ...index, sets: compiler.used(destinations.values()) },
    delta: { destinations: delta, ...owners.delta },
  };
}

function compileSources(before: AuthzIndex, model: Model, view: NodeView, workloads: Iterable<string>) {
  const sources = before.sources.edit();
  const identities = new Map(before.identities);
  const delta = new Map<Address, string | undefined>();
  const came: Identity[] = [];
  const count = (principal: string, identity: Identity | undefined, by: 1 | -1) => {
    const known = identities.get(principal);
    const addresses = (known?.addresses ?? 0) + by;
    const is = known?.identity ?? identity;
    if (addresses > 0 && is) identities.set(principal, { identity: is, addresses });
    else identities.delete(principal);
    if (known === undefined && is) came.push(is);
  };
  const seen = new Set<Address>();
  for (const uid of workloads) {
    for (const of of [before.model.workloads.get(uid), model.workloads.get(uid)]) {
      for (const address of of?.addresses ?? []) seen.add(address);
    }
  }
  for (const address of seen) {
    const here = (model.addresses.get(address) ?? []).flatMap((uid) => model.workloads.get(uid) ?? []);
    const owner = ownerOf(here, view.network);
    const identity = owner && identityOf(owner);
    const now = identity && principalOf(identity);
    const was = sources.get(address);
    if (now === was) continue;
    if (now !== undefined) {
      count(now, identity, 1);
      sources.set(address, now);
    } else sources.delete(address);
    if (was !== undefined) count(was, undefined, -1);
    delta.set(address, now);
  }
  return { index: { sources: sources.close(), identities }, delta: { sources: delta, identities: came } };
}

/** Lists of policies, compiled once for all that have the same. */
interface Sets {
  of(policies: readonly Policy[]): CompiledList;
  /** Those in use. */
  used(destinations: Iterable<AuthzDestination>): ReadonlyMap<string, CompiledList>;
}

function openSets(before: ReadonlyMap<string, CompiledList>): Sets {
  const now = new Map<string, CompiledList>();
  const nameOf = (policies: readonly Policy[]) => policies.map(nameOfPolicy).join(' ');
  return {
    of(policies) {
      const name = nameOf(policies);
      const made = now.get(name);
      if (made !== undefined) return made;
      const held = before.get(name);
      const same = held?.policies.every((policy, i) => samePolicy(policy, policies[i] as Policy));
      const list = held && same ? held : { policies, sets: packMembers(policies).map(compileSet) };
      now.set(name, list);
      return list;
    },
    used(destinations) {
      const sets = new Set<PolicySet>();
      for (const { stack } of destinations) for (const { set } of stack.sets) sets.add(set);
      const used = new Map<string, CompiledList>();
      for (const from of [before, now]) {
        for (const [name, list] of from) if (list.sets.some((set) => sets.has(set))) used.set(name, list);
      }
      return used;
    },
  };
}

/** What stands in for a policy is another one than the policy itself, and made anew each time. */
function nameOfPolicy(policy: Policy): string {
  return policyKey(policy) + (policy.fault?.kind === 'refused' ? `!${policy.fault.reason}` : '');
}

function samePolicy(a: Policy, b: Policy): boolean {
  return a === b || (a.fault?.kind === 'refused' && b.fault?.kind === 'refused');
}

function destinationOf(workload: Workload, address: Address, holding: Holding, sets: Sets): AuthzDestination {
  const lists = [
    holding.global,
    holding.namespace(workload.namespace),
    holding.named(workload.authorizationPolicies),
  ].filter((list) => list.length > 0);
  const policies = lists.flat();
  const compiled = lists.map((list) => sets.of(list));
  const over = beyondLimit(compiled);
  const closed = [...closingOf(policies), ...closingOf(over ? [over] : [])];
  const used = over ? [sets.of([over])] : compiled;
  const some = (dry: boolean) => policies.some((policy) => policy.action === 'allow' && (dry || !policy.dryRun));
  return {
    workload: workload.uid,
    stack: {
      sets: used.flatMap((list) => list.sets.map((set) => ({ set, destination: set.destinationVector(address) }))),
      allows: some(false),
      dryAllows: some(true),
    },
    closed,
    stale: policies.flatMap((policy) => (policy.fault?.kind === 'stale' ? [policyKey(policy)] : [])),
  };
}

/** Stands for the policy with which the sets became too many. */
function beyondLimit(compiled: readonly CompiledList[]): Policy | undefined {
  const sets = compiled.flatMap((list) => list.sets);
  if (sets.length <= maxSets) return undefined;
  const [first] = (sets[maxSets] as PolicySet).policies;
  return refusedPolicy(first as Policy, `the policies that hold for the workload take more than ${maxSets} sets`);
}

function sameDestination(a: AuthzDestination, b: AuthzDestination): boolean {
  return (
    a.workload === b.workload &&
    a.stack.allows === b.stack.allows &&
    a.stack.dryAllows === b.stack.dryAllows &&
    a.stale.join() === b.stale.join() &&
    a.stack.sets.length === b.stack.sets.length &&
    a.stack.sets.every(({ set, destination }, i) => {
      const other = b.stack.sets[i];
      return other?.set === set && other.destination === destination;
    })
  );
}

/** The identity that a source address has. */
export function identityAt(index: AuthzIndex, address: Address): Identity | undefined {
  const principal = index.sources.get(address);
  return principal === undefined ? undefined : index.identities.get(principal)?.identity;
}
