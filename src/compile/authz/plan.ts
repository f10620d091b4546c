// SPDX-License-Identifier: Apache-2.0
// (what was compiled, what the kernel holds) -> ordered operations. Whatever a destination leads to is written before it and stays as it is
// until nothing leads there, so that programs find the old policies whole or the new ones.
import { addressTag } from '../../abi/hash.ts';
import { identityHost, stackFlag } from '../../abi/structs.ts';
import { policyKey } from '../../mesh/policy.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Address } from '../../net/address.ts';
import type { Image } from '../image.ts';
import type { AuthzOperation, DeleteOperation, PutOperation } from '../operation.ts';
import { type Operations, unfoldNames } from '../plan-steps.ts';
import { adopting } from './adopt.ts';
import { type AuthzLeft, commitAuthz } from './commit.ts';
import type { AuthzDelta, AuthzIndex } from './compile.ts';
import { type AuthzDraft, draftAuthz } from './draft.ts';
import { samePlace } from './enforcement.ts';
import type { AuthzImage, AuthzRefusal, AuthzShortage, SetImage } from './image.ts';
import type { AuthzDestination } from './lists.ts';
import {
  identityPut,
  planSet,
  planVector,
  setHeader,
  setMembers,
  setRanges,
  setValues,
  setWords,
  stackPut,
  vectorPuts,
} from './plan-sets.ts';
import type { PolicySet } from './set.ts';
import { exempt } from './sources.ts';
import { stackText } from './stack-text.ts';

/** One thing that a plan adds, changes or removes. */
export interface AuthzChange {
  readonly what: 'destination' | 'source' | 'identity' | 'pod' | 'stray';
  /** Address or principal; for a stray what it is. */
  readonly name: string;
  readonly change: 'add' | 'change' | 'remove';
}

export interface AuthzPlan {
  /** In order, no grace period among them. */
  readonly ops: Operations<AuthzOperation>;
  readonly refused: readonly AuthzRefusal[];
  /** Something is to be released once the plan is carried out and a grace period has passed. */
  readonly frees: boolean;
  /** Destinations that get another verdict, or none. */
  readonly destinations: readonly Address[];
  /** Some source is another one to policies. */
  readonly sources: boolean;
  changes(): readonly AuthzChange[];
  /** Makes the image what the kernel holds once all `ops` were carried out. To be called once, before the next plan. */
  commit(): Steps<AuthzLeft>;
}

const keysAStep = 64;

/**
 * The plan for what differs, and for what was refused before; all of it, strays too, for `everythingAuthz`. In steps; image and index must not
 * change meanwhile, and no other plan over the image may be open.
 */
export function* planningAuthz(image: Image, index: AuthzIndex, delta: AuthzDelta): Steps<AuthzPlan> {
  const { authz } = image;
  const everything = delta.destinations === 'all' && delta.sources === 'all' && delta.identities === 'all';
  if (authz.unread.size > 0) yield* adopting(image, index);
  const draft = draftAuthz(image);
  const again = (what: AuthzRefusal['what']) => authz.refused.flatMap((r) => (r.what === what ? [r.name] : []));
  const { principals, identities } = index.sources;

  const gone = draft.lingering;
  gone.push(...authz.doomed);
  yield* eachKey(delta.identities, again('identity'), identities, authz.identities, (principal) => {
    if (identities.has(principal)) planIdentity(draft, index, principal);
    else if (authz.identities.has(principal)) gone.push(principal);
  });
  const unfit = new Map<PolicySet, AuthzShortage>();
  const addresses: Address[] = [];
  const missing = [...new Set([...again('destination'), ...authz.lost])];
  yield* eachKey(delta.destinations, missing, index.destinations, authz.destinations, (address) => {
    addresses.push(address);
  });
  for (const address of addresses) {
    planDestination(draft, index, address, unfit);
    yield;
  }
  yield* eachKey(delta.sources, again('source'), principals, authz.sources, (address) => {
    planSource(draft, address, principals.get(address));
  });
  yield* planGone(draft, index);
  planPods(draft, index);
  yield;
  const stray = everything ? authz.stray : [];
  return {
    ops: operationsOf(draft, stray),
    refused: draft.refused,
    frees:
      draft.left.length + stray.length > 0 ||
      draft.destinations.some(({ address }) => authz.destinations.has(address)) ||
      draft.sources.some(({ next }) => next === undefined),
    destinations: draft.destinations.map(({ address }) => address),
    sources: draft.sources.length > 0,
    changes: () => changesOf(draft, stray),
    commit: () => commitAuthz(draft, stray),
  };
}

/** Calls `visit` once with each key that may differ: those given and those refused before; for 'all' those wanted and those held. */
function* eachKey(
  keys: ReadonlySet<string> | 'all',
  again: readonly string[],
  wanted: ReadonlyMap<string, unknown>,
  held: ReadonlyMap<string, unknown>,
  visit: (key: string) => void,
): Steps<void> {
  const twice = keys === 'all' ? wanted : keys;
  let seen = 0;
  for (const key of twice.keys()) {
    visit(key);
    if (++seen % keysAStep === 0) yield;
  }
  for (const key of keys === 'all' ? held.keys() : again) {
    if (!twice.has(key)) visit(key);
    if (++seen % keysAStep === 0) yield;
  }
}

/** "map "authz_range" has no room: 101 entries needed, 57 free" */
function reasonOf({ map, needed, free }: AuthzShortage): string {
  const slots = map === 'authz_word' || map === 'authz_member';
  const what = slots ? 'slots in a row' : needed === 1 ? 'entry' : 'entries';
  return `map "${map}" has no room: ${needed} ${what} needed, ${free} free`;
}

function refuse(
  draft: AuthzDraft,
  what: AuthzRefusal['what'],
  name: string,
  shortage: AuthzShortage,
  of: Partial<AuthzRefusal> = {},
) {
  draft.refused.push({ what, name, workload: '', policies: [], shortage, reason: reasonOf(shortage), ...of });
}

/** An identity that came: its entry in every set that is in use, before any address has it. */
function planIdentity(draft: AuthzDraft, index: AuthzIndex, principal: string): void {
  const { authz } = draft.image;
  const known = index.sources.identities.get(principal);
  if (!known || authz.identities.has(principal)) return;
  draft.begin();
  const id = draft.claim('identity', principal);
  for (const [set, image] of authz.sets) {
    if (!set.identity.used) continue;
    const number = set.identityVector(known.identity);
    if (number === image.base && !image.identities.has(id)) continue;
    if (!image.identities.has(id)) draft.count('authz_value');
    draft.values.push({ image, identity: id, place: planVector(draft, image, set, number) });
  }
  draft.addIdentity(principal, id);
  const shortage = draft.end();
  if (shortage) refuse(draft, 'identity', principal, shortage);
}

/** Of identities that nobody has any more those go that no source keeps. */
function* planGone(draft: AuthzDraft, index: AuthzIndex): Steps<void> {
  const { authz } = draft.image;
  if (draft.lingering.length === 0) return;
  let seen = 0;
  /** Id of an identity -> addresses that have it no more once all is done. */
  const away = new Map<number, number>();
  const leaves = (address: Address): void => {
    const was = authz.sources.get(address);
    if (was !== undefined) away.set(was, (away.get(was) ?? 0) + 1);
  };
  for (const address of authz.leaving.keys()) {
    leaves(address);
    if (++seen % keysAStep === 0) yield;
  }
  for (const { address, next } of draft.sources) {
    const was = authz.sources.get(address);
    if (!authz.leaving.has(address)) {
      if (was !== next) leaves(address);
    } else if (was !== undefined && was === next) away.set(was, (away.get(was) as number) - 1);
    if (++seen % keysAStep === 0) yield;
  }
  for (const principal of new Set(draft.lingering)) {
    const id = authz.identities.get(principal);
    if (id === undefined || index.sources.identities.has(principal)) continue;
    const kept = (authz.sourcesOf.get(id) ?? 0) > (away.get(id) ?? 0);
    (kept ? draft.doomed : draft.left).push(principal);
    if (++seen % keysAStep === 0) yield;
  }
}

function flagsOf({ stack, closed }: AuthzDestination): number {
  return (
    (stack.allows ? stackFlag.allows : 0) |
    (stack.dryAllows ? stackFlag.dryAllows : 0) |
    (stack.dry ? stackFlag.dry : 0) |
    // Told only: it is a policy without conditions that denies.
    (closed.length > 0 ? stackFlag.closed : 0)
  );
}

/** Maps in which a destination itself takes room. */
const ofDestinations: ReadonlySet<string> = new Set(['authz_dest', 'authz_stack']);

/** @param unfit sets for which there was no room in this plan */
function planDestination(
  draft: AuthzDraft,
  index: AuthzIndex,
  address: Address,
  unfit: Map<PolicySet, AuthzShortage>,
): void {
  const { authz } = draft.image;
  const wanted = index.destinations.get(address);
  const [held, have] = [authz.destinations.has(address), authz.destinations.get(address)];
  if (!wanted) {
    if (held) draft.destinations.push({ address, next: undefined });
    return;
  }
  draft.begin();
  const made: PolicySet[] = [];
  let shortage: AuthzShortage | undefined;
  const sets: SetImage[] = [];
  const places: number[] = [];
  for (const { set, destination } of wanted.stack.sets) {
    shortage = unfit.get(set);
    if (shortage) break;
    let image = draft.setOf(set);
    if (!image) {
      image = planSet(draft, set, index.sources);
      made.push(set);
    }
    sets.push(image);
    places.push(planVector(draft, image, set, destination));
  }
  const flags = flagsOf(wanted);
  const text = stackText(flags, sets, places);
  let next = draft.stackOf(text);
  if (!next) {
    next = { id: draft.allocate('authz_stack', 1), text, sets, destinations: 0 };
    draft.addStack({ image: next, generation: draft.generation(), flags, places });
  }
  if (!held) draft.count('authz_dest');
  if (!have || next !== have || authz.lost.has(address)) draft.destinations.push({ address, next });
  const short = draft.end(shortage);
  if (!short) return;
  const [only] = made;
  if (only && made.length === 1 && !shortage && !ofDestinations.has(short.map)) unfit.set(only, short);
  const policies = new Set(
    wanted.stack.sets.flatMap(({ set }) => (authz.sets.has(set) ? [] : set.policies.map(policyKey))),
  );
  refuse(draft, 'destination', address, short, { workload: wanted.workload, policies: [...policies] });
}

function planSource(draft: AuthzDraft, address: Address, principal: string | undefined): void {
  const { authz } = draft.image;
  const have = authz.sources.get(address);
  if (principal === undefined) {
    if (have !== undefined && !authz.leaving.has(address)) draft.sources.push({ address, next: undefined });
    return;
  }
  const next = principal === exempt ? identityHost : draft.identityId(principal);
  if (next === undefined) {
    const without = draft.refused.find(({ what, name }) => what === 'identity' && name === principal);
    const shortage = without?.shortage ?? { map: 'name', needed: 1, free: draft.free('name') };
    refuse(draft, 'source', address, shortage);
    return;
  }
  if (next === have && !authz.leaving.has(address)) return;
  draft.begin();
  if (have === undefined) draft.count('authz_source');
  draft.sources.push({ address, next });
  const shortage = draft.end();
  if (shortage) refuse(draft, 'source', address, shortage);
}

/** They are few: all are compared, as whoever enrols writes them too. */
function planPods(draft: AuthzDraft, index: AuthzIndex): void {
  const { pods } = draft.image.authz;
  for (const [address, next] of index.pods) {
    const have = pods.get(address);
    if (have && samePlace(have, next)) continue;
    draft.begin();
    if (!have) draft.count('pod_address');
    draft.pods.push({ address, next });
    const shortage = draft.end();
    if (shortage) refuse(draft, 'pod', address, shortage);
  }
  for (const address of pods.keys()) if (!index.pods.has(address)) draft.pods.push({ address, next: undefined });
}

/** What is written by whom, in order: nothing is named before it is there. */
function operationsOf(draft: AuthzDraft, stray: readonly DeleteOperation[]): Operations<AuthzOperation> {
  const { ids } = draft;
  const named = [
    ['identity', ids.identity.fresh()],
    ['policy', ids.policy.fresh()],
  ] as const;
  const policyId = (policy: string): number | undefined => ids.policy.idOf(policy);
  const { sources, destinations: some, pods } = draft;
  const puts = sources.reduce((count, { next }) => count + (next === undefined ? 0 : 1), 0);
  const stamp: readonly AuthzOperation[] = puts + some.length > 0 ? [{ kind: 'stamp' }] : [];
  const names: Operations<PutOperation> = {
    length: draft.names,
    [Symbol.iterator]: () => unfoldNames({ named }),
  };
  const stages: readonly Operations<AuthzOperation>[] = [
    names,
    ...draft.vectors.map(vectorPuts),
    draft.values.map(identityPut),
    ...draft.sets.map(setWords),
    ...draft.sets.map((made) => setMembers(made, policyId)),
    draft.sets.map(setHeader),
    ...draft.sets.map(setValues),
    ...draft.sets.map(setRanges),
    pods.flatMap(({ address, next }) => (next ? [podPut(address, next)] : [])),
    draft.stacks.map(stackPut),
    stamp,
    {
      length: puts,
      *[Symbol.iterator]() {
        for (const { address, next } of sources) if (next !== undefined) yield sourcePut(address, next);
      },
    },
    some.flatMap(({ address, next }) => (next ? [destinationPut(address, next.id)] : [])),
    some.flatMap(({ address, next }) => (next ? [] : [goes('authz_dest', address)])),
    stamp,
    pods.flatMap(({ address, next }) => (next ? [] : [goes('pod_address', address)])),
    stray,
  ];
  return {
    length: stages.reduce((sum, stage) => sum + stage.length, 0),
    *[Symbol.iterator]() {
      for (const stage of stages) yield* stage;
    },
  };
}

function podPut(address: Address, place: { netns: number; hostNetns: number; ifindex: number }): PutOperation {
  const { netns, hostNetns, ifindex } = place;
  const value = { netns, host_netns: hostNetns, ifindex, flags: 0 };
  return { kind: 'put', map: 'pod_address', key: address, value, about: `pod address ${address}` };
}

function sourcePut(address: Address, identity: number): PutOperation {
  const value = { identity, tag: addressTag(address) };
  return { kind: 'put', map: 'authz_source', key: address, value, about: `source ${address}` };
}

function destinationPut(address: Address, stack: number): PutOperation {
  const value = { stack, tag: addressTag(address) };
  return { kind: 'put', map: 'authz_dest', key: address, value, about: `destination ${address}` };
}

function goes(map: 'authz_dest' | 'pod_address', address: Address): DeleteOperation {
  return { kind: 'delete', map, key: address, about: `${map} ${address}` };
}

function changesOf(draft: AuthzDraft, stray: readonly DeleteOperation[]): AuthzChange[] {
  const { authz } = draft.image;
  const of = (
    what: AuthzChange['what'],
    changes: readonly { readonly address: Address; readonly next: unknown }[],
    held: Pick<AuthzImage['sources'], 'has'>,
  ): AuthzChange[] =>
    changes.map(({ address, next }) => ({
      what,
      name: address,
      change: next === undefined ? 'remove' : held.has(address) ? 'change' : 'add',
    }));
  return [
    ...of('destination', draft.destinations, authz.destinations),
    ...of('source', draft.sources, authz.sources),
    ...of('pod', draft.pods, authz.pods),
    ...draft.arrived.map(([name]) => ({ what: 'identity', name, change: 'add' }) as const),
    ...draft.left.map((name) => ({ what: 'identity', name, change: 'remove' }) as const),
    ...stray.map((op) => ({ what: 'stray', name: `${op.map}: ${op.about}`, change: 'remove' }) as const),
  ];
}
