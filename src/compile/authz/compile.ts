// SPDX-License-Identifier: Apache-2.0
// model -> what the kernel needs to judge connections to this node's workloads: policy sets, destinations, and who owns which address.
import { type Identity, identityOf, ownerOf, principalOf } from '../../mesh/identity.ts';
import type { Model, NodeView, Touched } from '../../mesh/model.ts';
import { type Policy, policyKey, refusedPolicy } from '../../mesh/policy.ts';
import type { Steps } from '../../mesh/steps.ts';
import { emptyTable, type Table } from '../../mesh/table.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';
import { type AuthzOptions, closingOf, defaultAuthzOptions, type Holding, holdingOf } from './holding.ts';
import type { Stack } from './judge.ts';
import { type Owners, openOwners } from './owners.ts';
import { compilingSet, type PolicySet, packingMembers, stepSize } from './set.ts';

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
  readonly owners: Owners;
  /** Address -> principal of the workload that owns it. */
  readonly sources: Table<string>;
  /** Principal -> identity, and how many addresses have it. */
  readonly identities: Table<{ readonly identity: Identity; readonly addresses: number }>;
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
    holding: holdingOf(new Map(), defaultAuthzOptions),
    sets: new Map(),
    destinations: new Map(),
    local: new Set(),
    owners: emptyTable(),
    sources: emptyTable(),
    identities: emptyTable(),
  };
}

/** Compiles again what was touched since `before` was made ('everything': all, or other options). */
export function* compilingAuthz(
  before: AuthzIndex,
  model: Model,
  view: NodeView,
  touched: Pick<Touched, 'workloads' | 'policies'> | 'everything',
  options: AuthzOptions,
): Steps<{ readonly index: AuthzIndex; readonly delta: AuthzDelta }> {
  const all = touched === 'everything';
  const rules = all || touched.policies.size > 0;
  const owners = openOwners(before.owners);
  const local = new Set(all ? [] : before.local);
  const addresses = new Set<Address>();
  let count = 0;
  for (const [uid, was, workload] of all ? everyWorkload(before, model) : touchedWorkloads(before, model, touched)) {
    if (++count % stepSize === 0) yield;
    owners.replace(was, workload);
    if (was && before.local.has(uid)) for (const address of was.addresses) addresses.add(address);
    if (workload && view.node !== '' && workload.node === view.node && !workload.hostNetwork) {
      local.add(uid);
      for (const address of workload.addresses) addresses.add(address);
    } else local.delete(uid);
  }
  if (rules) for (const address of before.destinations.keys()) addresses.add(address);
  const holding = rules ? holdingOf(model.policies, options, before.holding) : before.holding;
  yield;
  const sets = openSets(before.sets);
  const destinations = new Map(before.destinations);
  const delta = new Map<Address, AuthzDestination | undefined>();
  for (const address of addresses) {
    const here = owners.of(address).filter((uid) => local.has(uid));
    const owner = ownerOf(here.flatMap((uid) => model.workloads.get(uid) ?? []));
    const now = owner && (yield* compilingDestination(owner, address, holding, sets));
    yield;
    const was = destinations.get(address);
    if (now === undefined ? was === undefined : was !== undefined && sameDestination(was, now)) continue;
    if (now) destinations.set(address, now);
    else destinations.delete(address);
    delta.set(address, now);
  }
  const sources = editSources(before, model, view, owners.of);
  for (const address of owners.touched) {
    sources.settle(address);
    if (++count % stepSize === 0) yield;
  }
  const from = yield* sources.close();
  const owned = yield* owners.close();
  const used = sets.used(destinations.values());
  return {
    index: {
      model,
      holding,
      local,
      destinations,
      owners: owned,
      sets: used,
      sources: from.sources,
      identities: from.identities,
    },
    delta: { destinations: delta, sources: from.delta, identities: from.came },
  };
}

/** A workload's uid, as it was and as it is. */
type Change = readonly [uid: string, was: Workload | undefined, is: Workload | undefined];

function* touchedWorkloads(
  before: AuthzIndex,
  model: Model,
  touched: Pick<Touched, 'workloads'>,
): Generator<Change, undefined> {
  for (const uid of touched.workloads) yield [uid, before.model.workloads.get(uid), model.workloads.get(uid)];
}

function* everyWorkload(before: AuthzIndex, model: Model): Generator<Change, undefined> {
  for (const was of before.model.workloads.values()) yield [was.uid, was, undefined];
  for (const is of model.workloads.values()) yield [is.uid, undefined, is];
}

/** Settles who owns the addresses of workloads that changed. */
function editSources(
  before: AuthzIndex,
  model: Model,
  view: NodeView,
  uidsOf: (address: Address) => readonly string[],
) {
  const sources = before.sources.edit();
  /** Principal -> identity, and by how many more addresses have it. */
  const moved = new Map<string, { identity: Identity | undefined; by: number }>();
  const delta = new Map<Address, string | undefined>();
  const count = (principal: string, identity: Identity | undefined, by: 1 | -1) => {
    const known = moved.get(principal);
    if (known === undefined) moved.set(principal, { identity, by });
    else {
      known.identity ??= identity;
      known.by += by;
    }
  };
  const settle = (address: Address) => {
    const owner = ownerOf(
      uidsOf(address).flatMap((uid) => model.workloads.get(uid) ?? []),
      view.network,
    );
    const identity = owner && identityOf(owner);
    const now = identity && principalOf(identity);
    const was = before.sources.get(address);
    if (now === was) return;
    delta.set(address, now);
    if (now === undefined) sources.delete(address);
    else {
      sources.set(address, now);
      count(now, identity, 1);
    }
    if (was !== undefined) count(was, undefined, -1);
  };
  function* close() {
    const identities = before.identities.edit();
    const came: Identity[] = [];
    for (const [principal, { identity, by }] of moved) {
      const held = before.identities.get(principal);
      const of = held?.identity ?? identity;
      const addresses = (held?.addresses ?? 0) + by;
      if (of === undefined || addresses <= 0) identities.delete(principal);
      else {
        identities.set(principal, { identity: of, addresses });
        if (held === undefined) came.push(of);
      }
    }
    return { sources: yield* sources.close(), identities: yield* identities.close(), delta, came };
  }
  return { settle, close };
}

/** Lists of policies, compiled once for all that have the same. */
interface Sets {
  of(policies: readonly Policy[]): Steps<CompiledList>;
  /** Those in use. */
  used(destinations: Iterable<AuthzDestination>): ReadonlyMap<string, CompiledList>;
}

function openSets(before: ReadonlyMap<string, CompiledList>): Sets {
  const now = new Map<string, CompiledList>();
  const nameOf = (policies: readonly Policy[]) => policies.map(nameOfPolicy).join(' ');
  return {
    *of(policies) {
      const name = nameOf(policies);
      const made = now.get(name);
      if (made !== undefined) return made;
      const held = before.get(name);
      const same = held?.policies.every((policy, i) => samePolicy(policy, policies[i] as Policy));
      if (held && same) {
        now.set(name, held);
        return held;
      }
      const sets: PolicySet[] = [];
      for (const members of yield* packingMembers(policies)) sets.push(yield* compilingSet(members));
      const list = { policies, sets };
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

/** True when both enforce the same. Whether a later version was refused is told beside the sets. */
function samePolicy(a: Policy, b: Policy): boolean {
  if (a === b || (a.fault?.kind === 'refused' && b.fault?.kind === 'refused')) return true;
  return a.rules === b.rules && a.action === b.action && a.dryRun === b.dryRun && a.fault?.kind !== 'refused';
}

function* compilingDestination(
  workload: Workload,
  address: Address,
  holding: Holding,
  sets: Sets,
): Steps<AuthzDestination> {
  const lists = [
    holding.global,
    holding.namespace(workload.namespace),
    holding.named(workload.authorizationPolicies),
  ].filter((list) => list.length > 0);
  const policies = lists.flat();
  const compiled: CompiledList[] = [];
  for (const list of lists) compiled.push(yield* sets.of(list));
  const over = beyondLimit(compiled, holding.options.maxSets);
  const used = over ? [yield* sets.of([over])] : compiled;
  const some = (dry: boolean) => policies.some((policy) => policy.action === 'allow' && (dry || !policy.dryRun));
  return {
    workload: workload.uid,
    stack: {
      sets: used.flatMap((list) => list.sets.map((set) => ({ set, destination: set.destinationVector(address) }))),
      allows: some(false),
      dryAllows: some(true),
    },
    closed: closingOf(over ? [...policies, over] : policies),
    stale: policies.flatMap((policy) => (policy.fault?.kind === 'stale' ? [policyKey(policy)] : [])),
  };
}

/** Stands for the policy with which the sets became too many. */
function beyondLimit(compiled: readonly CompiledList[], maxSets: number): Policy | undefined {
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
