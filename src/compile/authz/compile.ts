// SPDX-License-Identifier: Apache-2.0
// model -> what the kernel needs to judge connections to this node's judged pods: policy sets, destinations, and who owns which address.
// Nothing is compiled while no pod is judged, and identities are only while policies in use ask for them.
import type { Model, NodeView, Touched } from '../../mesh/model.ts';
import type { Policy } from '../../mesh/policy.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';
import { type Enforcement, type PodPlace, samePlace } from './enforcement.ts';
import { type AuthzOptions, defaultAuthzOptions, type Holding, holdingOf } from './holding.ts';
import {
  type AuthzDestination,
  type CompiledLists,
  compilingDestination,
  openLists,
  sameDestination,
} from './lists.ts';
import { editLocals, type Locals, noLocals, type ResolvedPod, resolvePods } from './locals.ts';
import { editSources, noSources, type Sources, type SourcesDelta } from './sources.ts';

export interface AuthzInput {
  readonly model: Model;
  readonly view: NodeView;
  readonly enforcement: Enforcement;
  readonly options: AuthzOptions;
  /** Sets that are in the kernel still ask for identities: they are kept until those are gone. */
  readonly kernelAsks?: boolean;
}

export interface AuthzIndex {
  /** What it was compiled of; undefined: nothing was. */
  readonly of: AuthzInput | undefined;
  readonly holding: Holding;
  /** Workloads with the same policies share what is compiled of them. */
  readonly lists: CompiledLists;
  readonly locals: Locals;
  readonly resolved: readonly ResolvedPod[];
  readonly destinations: ReadonlyMap<Address, AuthzDestination & { readonly netns: number }>;
  /** Entries of the map pod_address. */
  readonly pods: ReadonlyMap<Address, PodPlace>;
  readonly sources: Sources;
}

/** Keys of what may differ from before; 'all': anything may. */
export interface AuthzDelta {
  readonly destinations: ReadonlySet<Address> | 'all';
  readonly sources: ReadonlySet<Address> | 'all';
  /** Principals. */
  readonly identities: ReadonlySet<string> | 'all';
  readonly pods: boolean;
}

/** Nothing is judged, and nothing is kept. */
export const noAuthz: AuthzIndex = {
  of: undefined,
  holding: holdingOf(new Map(), defaultAuthzOptions),
  lists: new Map(),
  locals: noLocals,
  resolved: [],
  destinations: new Map(),
  pods: new Map(),
  sources: noSources,
};

const nobody: ReadonlySet<string> = new Set();
export const nothingAuthz: AuthzDelta = { destinations: nobody, sources: nobody, identities: nobody, pods: false };
export const everythingAuthz: AuthzDelta = { destinations: 'all', sources: 'all', identities: 'all', pods: true };

const isEmpty = (keys: ReadonlySet<string> | 'all'): boolean => keys !== 'all' && keys.size === 0;

export function isNothing({ destinations, sources, identities, pods }: AuthzDelta): boolean {
  return !pods && isEmpty(destinations) && isEmpty(sources) && isEmpty(identities);
}

export interface AuthzCompiled {
  readonly index: AuthzIndex;
  readonly delta: AuthzDelta;
}

/** Workloads between two pauses. */
const workloadsAStep = 64;

type TouchedAuthz = Pick<Touched, 'workloads' | 'policies'> | 'everything';

/** Compiles again what may differ from `before`: by what was touched since, and where view, options or pods are others. */
export function* compilingAuthz(before: AuthzIndex, input: AuthzInput, touched: TouchedAuthz): Steps<AuthzCompiled> {
  if (input.enforcement.pods.length === 0) {
    return before === noAuthz ? { index: noAuthz, delta: nothingAuthz } : { index: noAuthz, delta: everythingAuthz };
  }
  const { of } = before;
  const sameView = of?.view.node === input.view.node && of.view.network === input.view.network;
  if (touched === 'everything' || !of || !sameView) return yield* compileAll(before, input);
  return yield* compilePart(before, of, input, touched);
}

/** All of it; lists of policies that are the same are kept. */
function* compileAll(before: AuthzIndex, input: AuthzInput): Steps<AuthzCompiled> {
  const { model, view, options, enforcement } = input;
  const locals = editLocals(noLocals, view);
  let seen = 0;
  for (const workload of model.workloads.values()) {
    locals.replace(undefined, workload);
    if (++seen % workloadsAStep === 0) yield;
  }
  const here = yield* locals.close();
  const holding = holdingOf(model.policies, options, before.holding);
  yield;
  const { resolved, at } = resolvePods(enforcement, here, model.workloads);
  const lists = openLists(before.lists);
  const destinations: Destinations = new Map();
  for (const [address, pod] of at) {
    if (!pod.workload) continue;
    destinations.set(address, {
      ...(yield* compilingDestination(pod.workload, address, holding, lists)),
      netns: pod.pod.netns,
    });
    yield;
  }
  const used = lists.used(destinations.values());
  const sources = yield* allSources(input, asksIdentity(used, input));
  return {
    index: { of: input, holding, lists: used, locals: here, resolved, destinations, pods: placesOf(at), sources },
    delta: everythingAuthz,
  };
}

type Destinations = Map<Address, AuthzDestination & { readonly netns: number }>;

function* compilePart(
  before: AuthzIndex,
  of: AuthzInput,
  input: AuthzInput,
  touched: Exclude<TouchedAuthz, 'everything'>,
): Steps<AuthzCompiled> {
  const { model, view, options, enforcement } = input;
  const locals = editLocals(before.locals, view);
  const owned = editSources(before.sources, model.workloads, view);
  let seen = 0;
  for (const uid of touched.workloads) {
    const [was, is] = [of.model.workloads.get(uid), model.workloads.get(uid)];
    locals.replace(was, is);
    owned.replace(was, is);
    if (++seen % workloadsAStep === 0) yield;
  }
  const here = yield* locals.close();

  const samePods = enforcement.pods === of.enforcement.pods && !locals.changed;
  const { resolved, at } = samePods
    ? { resolved: before.resolved, at: undefined }
    : resolvePods(enforcement, here, model.workloads);
  const pods = at ? placesOf(at) : before.pods;

  const anew = options !== of.options;
  const rules = anew || touched.policies.size > 0;
  const holding = rules
    ? holdingOf(model.policies, options, before.holding, anew ? undefined : touched.policies)
    : before.holding;
  yield;
  const held = anew ? () => true : holdsFor(touched.policies, before.holding, holding);
  const changed = yield* changedDestinations(before, at, model, holding, rules ? held : () => false);
  const sources = yield* nextSources(before, input, changed.lists, owned.close());
  return {
    index: {
      of: input,
      holding,
      lists: changed.lists,
      locals: here,
      resolved,
      destinations: changed.destinations,
      pods: samePlaces(pods, before.pods) ? before.pods : pods,
      sources: sources.sources,
    },
    delta: {
      destinations: changed.delta,
      sources: sources.delta === 'all' ? 'all' : sources.delta.addresses,
      identities: sources.delta === 'all' ? 'all' : sources.delta.identities,
      pods: !samePlaces(pods, before.pods),
    },
  };
}

/** Compiles destinations that are new, whose workload is another value than before, or that policies which changed hold for. */
function* changedDestinations(
  before: AuthzIndex,
  at: ReadonlyMap<Address, ResolvedPod> | undefined,
  model: Model,
  holding: Holding,
  held: (workload: Workload) => boolean,
): Steps<{ readonly destinations: Destinations; readonly delta: ReadonlySet<Address>; readonly lists: CompiledLists }> {
  const lists = openLists(before.lists);
  const destinations = new Map(before.destinations);
  const delta = new Set<Address>();
  function* compile(address: Address, workload: Workload, netns: number): Steps<void> {
    const now = yield* compilingDestination(workload, address, holding, lists);
    yield;
    const was = destinations.get(address);
    if (was && was.netns === netns && sameDestination(was, now)) return;
    destinations.set(address, { ...now, netns });
    delta.add(address);
  }
  const valueBefore = (uid: string) => before.of?.model.workloads.get(uid);
  if (at) {
    for (const address of before.destinations.keys()) {
      if (at.get(address)?.workload) continue;
      destinations.delete(address);
      delta.add(address);
    }
    for (const [address, { workload, pod }] of at) {
      if (!workload) continue;
      const was = before.destinations.get(address);
      const same = was?.workload === workload.uid && was.netns === pod.netns && valueBefore(workload.uid) === workload;
      if (!same || held(workload)) yield* compile(address, workload, pod.netns);
    }
  } else {
    for (const [address, { workload: uid, netns }] of before.destinations) {
      const workload = model.workloads.get(uid);
      if (workload && held(workload)) yield* compile(address, workload, netns);
    }
  }
  const used = delta.size === 0 ? before.lists : lists.used(destinations.values());
  return { destinations, delta, lists: used };
}

/** Whether some of these policies holds for a workload, as they were or as they are. */
function holdsFor(keys: ReadonlySet<string>, ...holdings: readonly Holding[]): (workload: Workload) => boolean {
  const policies: Policy[] = [];
  for (const { enforced } of holdings) {
    for (const key of keys) {
      const policy = enforced.get(key)?.policy;
      if (policy) policies.push(policy);
    }
  }
  const everywhere = policies.some(({ scope }) => scope === 'global');
  const namespaces = new Set(policies.flatMap(({ scope, namespace }) => (scope === 'namespace' ? [namespace] : [])));
  return ({ namespace, authorizationPolicies }) =>
    everywhere || namespaces.has(namespace) || authorizationPolicies.some((key) => keys.has(key));
}

function asksIdentity(lists: CompiledLists, { kernelAsks = false }: AuthzInput): boolean {
  if (kernelAsks) return true;
  for (const { sets } of lists.values()) for (const set of sets) if (set.identity.used) return true;
  return false;
}

function* allSources({ model, view, enforcement }: AuthzInput, asked: boolean): Steps<Sources> {
  const { hosts } = enforcement;
  const edit = editSources({ ...noSources, asked, hosts }, model.workloads, view);
  // Nobody is asked for and nobody is exempt: there is nothing to find.
  if (asked || hosts.size > 0) {
    let seen = 0;
    for (const workload of model.workloads.values()) {
      edit.replace(undefined, workload);
      if (++seen % workloadsAStep === 0) yield;
    }
  }
  const { sources } = yield* edit.close();
  return sources;
}

/** The sources after `edited`, or all of them where others are kept from now on. */
function* nextSources(
  { sources: before }: AuthzIndex,
  input: AuthzInput,
  lists: CompiledLists,
  edited: Steps<{ readonly sources: Sources; readonly delta: SourcesDelta }>,
): Steps<{ readonly sources: Sources; readonly delta: SourcesDelta | 'all' }> {
  const asked = asksIdentity(lists, input);
  const { hosts } = input.enforcement;
  if (asked === before.asked && sameSet(hosts, before.hosts)) return yield* edited;
  return { sources: yield* allSources(input, asked), delta: 'all' };
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const item of a) if (!b.has(item)) return false;
  return true;
}

function placesOf(at: ReadonlyMap<Address, ResolvedPod>): ReadonlyMap<Address, PodPlace> {
  const out = new Map<Address, PodPlace>();
  for (const [address, { pod }] of at) {
    const { netns, hostNetns, ifindex } = pod.otherwise?.get(address) ?? pod;
    out.set(address, { netns, hostNetns, ifindex });
  }
  return out;
}

function samePlaces(a: ReadonlyMap<Address, PodPlace>, b: ReadonlyMap<Address, PodPlace>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [address, place] of a) {
    const other = b.get(address);
    if (!other || !samePlace(place, other)) return false;
  }
  return true;
}
