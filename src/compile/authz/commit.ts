// SPDX-License-Identifier: Apache-2.0
// What a plan that was carried out makes of the image, and what is left to release after a grace period.
import type { Steps } from '../../mesh/steps.ts';
import type { Address } from '../../net/address.ts';
import { rangedMaps } from '../limited-maps.ts';
import type { DeleteOperation } from '../operation.ts';
import type { AuthzDraft } from './draft.ts';
import { type SetImage, type StackImage, setSource } from './image.ts';
import { wordsOf } from './plan-sets.ts';
import type { Vector } from './vector.ts';

/** What a plan stopped using: to be released once every program run that could have met it has ended. */
export interface AuthzLeft {
  /** Number of the plan. */
  readonly plan: number;
  readonly stacks: readonly StackImage[];
  readonly sets: readonly SetImage[];
  readonly identities: readonly (readonly [principal: string, id: number])[];
  /** Addresses whose entry is to go. */
  readonly sources: readonly Address[];
  /** Sets whose last entries were strays. */
  readonly strayIds: readonly number[];
}

const entriesAStep = 64;

/** @param stray all strays were deleted by the plan */
export function* commitAuthz(draft: AuthzDraft, stray: readonly DeleteOperation[]): Steps<AuthzLeft> {
  const { image, ids, ranges } = draft;
  const { authz } = image;
  yield* ids.identity.commit();
  yield* ids.policy.commit();
  for (const map of rangedMaps) yield* ranges[map].commit();
  image.counts.name += draft.names;
  authz.generation = draft.lastGeneration;
  authz.plan++;
  yield* commitSets(draft);
  const identities = yield* commitIdentities(draft);
  const { stacks, sets } = commitDestinations(draft);
  yield;
  const sources = yield* commitSources(draft);
  for (const { address, next } of draft.pods) {
    if (next) authz.pods.set(address, next);
    else authz.pods.delete(address);
  }
  authz.refused = draft.refused;
  for (const { map } of stray) if (map === 'authz_value' || map === 'authz_range') authz.counts[map]--;
  let strayIds: readonly number[] = [];
  if (stray.length > 0) {
    strayIds = authz.strayIds;
    authz.stray = [];
    authz.strayIds = [];
  }
  return { plan: authz.plan, stacks, sets, identities, sources, strayIds };
}

/** New sets, vectors that came later, and entries of identities that came later. */
function* commitSets({ image, sets, vectors, values }: AuthzDraft): Steps<void> {
  const { authz } = image;
  for (const { image: made, set } of sets) {
    authz.sets.set(set, made);
    for (const id of made.policies) image.ids.policy.refer(id);
    authz.counts.authz_value += made.identities.size + made.ports.length;
    authz.counts.authz_range += made.entries.length;
    yield;
  }
  for (const { image: of, number, place } of vectors) {
    of.places.set(number, place);
    of.words.push([place, wordsOf(of.set?.vectors[number] as Vector)]);
  }
  let seen = 0;
  for (const { image: of, identity } of values) {
    if (!of.identities.has(identity)) authz.counts.authz_value++;
    of.identities.add(identity);
    if (++seen % entriesAStep === 0) yield;
  }
}

/** @returns those that left, with their ids */
function* commitIdentities({ image, arrived, left, doomed }: AuthzDraft): Steps<AuthzLeft['identities']> {
  const { authz } = image;
  let seen = 0;
  for (const [principal, id] of arrived) {
    authz.identities.set(principal, id);
    authz.parting.delete(principal);
    image.ids.identity.refer(id);
    if (++seen % entriesAStep === 0) yield;
  }
  const gone: [string, number][] = [];
  for (const principal of left) {
    const id = authz.identities.get(principal) as number;
    authz.identities.delete(principal);
    authz.parting.set(principal, id);
    gone.push([principal, id]);
    if (++seen % entriesAStep === 0) yield;
  }
  authz.doomed.clear();
  for (const principal of doomed) authz.doomed.add(principal);
  return gone;
}

/** @returns stacks that no destination names any more, and sets that no stack does */
function commitDestinations({ image, stacks, destinations }: AuthzDraft): Pick<AuthzLeft, 'stacks' | 'sets'> {
  const { authz } = image;
  for (const { image: stack } of stacks) {
    authz.stacks.set(stack.text, stack);
    for (const set of stack.sets) set.stacks++;
  }
  const before: StackImage[] = [];
  for (const { address, next } of destinations) {
    const have = authz.destinations.get(address);
    if (have) before.push(have);
    if (next) {
      next.destinations++;
      authz.destinations.set(address, next);
    } else authz.destinations.delete(address);
  }
  authz.lost.clear();
  const unnamed: { readonly stacks: StackImage[]; readonly sets: SetImage[] } = { stacks: [], sets: [] };
  for (const stack of before) {
    if (--stack.destinations > 0) continue;
    unnamed.stacks.push(stack);
    if (authz.stacks.get(stack.text) === stack) authz.stacks.delete(stack.text);
    for (const set of stack.sets) {
      if (--set.stacks > 0) continue;
      unnamed.sets.push(set);
      authz.unread.delete(set);
      if (set.set) authz.sets.delete(set.set);
    }
  }
  return unnamed;
}

/** @returns addresses whose entry is to go */
function* commitSources({ image: { authz }, sources }: AuthzDraft): Steps<readonly Address[]> {
  const going: Address[] = [];
  let seen = 0;
  for (const { address, next } of sources) {
    if (++seen % entriesAStep === 0) yield;
    authz.leaving.delete(address);
    if (next !== undefined) setSource(authz, address, next);
    else {
      authz.leaving.set(address, authz.plan);
      going.push(address);
    }
  }
  return going;
}
