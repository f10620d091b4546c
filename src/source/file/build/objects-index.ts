// SPDX-License-Identifier: Apache-2.0
// Every object in effect and the ways they lead to each other: what must be built again when one of them changes.
import { gatewayKey } from '../../../mesh/gateway.ts';
import { rootNamespace, serviceHost } from '../names.ts';
import {
  type AuthorizationPolicyObject,
  type DestinationRuleObject,
  type EndpointSliceObject,
  type GatewayClassObject,
  type GatewayObject,
  identityOf,
  type Labels,
  type MeshObject,
  type NamespaceObject,
  type NodeObject,
  type PeerAuthenticationObject,
  type PodObject,
  type ServiceEntryObject,
  type WorkloadEntryObject,
} from '../objects.ts';
import { type Bags, openBags } from './bags.ts';
import { hostsOf, type Owner } from './owners.ts';
import { openPolicyBook, type PolicyBook } from './policies.ts';
import { openRouteBook, type RouteBook } from './routes.ts';
import { covers, openRuleBook, type RuleBook } from './rules.ts';
import { openSelectors, type Selectors, selectorOf } from './selectors.ts';
import { openWaypointBook, type WaypointBook, type Wisher } from './waypoints.ts';
import { resolvesHosts } from './workload.ts';

/** What a batch of changes touched. Objects are named by identity, and may be gone. */
export interface Dirty {
  readonly hosts: Set<string>;
  readonly pods: Set<string>;
  readonly entries: Set<string>;
  readonly slices: Set<string>;
  readonly serviceEntries: Set<string>;
  /** Namespace -> selectors whose pods and entries are touched, until `expand` finds them. */
  readonly selected: Map<string, Labels[]>;
}

export function nothingDirty(): Dirty {
  return {
    hosts: new Set(),
    pods: new Set(),
    entries: new Set(),
    slices: new Set(),
    serviceEntries: new Set(),
    selected: new Map(),
  };
}

export interface ObjectsIndex {
  readonly objects: ReadonlyMap<string, MeshObject>;
  readonly namespaces: ReadonlyMap<string, NamespaceObject>;
  readonly nodes: ReadonlyMap<string, NodeObject>;
  /** Host name -> objects that offer it. */
  readonly offers: Bags<Owner>;
  readonly selectors: Selectors;
  readonly rules: RuleBook;
  readonly policies: PolicyBook;
  readonly routes: RouteBook;
  readonly waypoints: WaypointBook;
  /** "namespace/name" of a pod -> slices with an endpoint that stands for it. */
  readonly slicesOfPod: Bags<EndpointSliceObject>;
  /** Host name that is to be resolved -> identities of what has it as an endpoint. */
  readonly resolving: Bags<string>;
  /** Puts `next` (undefined: nothing) in the place of what has this identity, and marks what that touches. */
  replace(identity: string, next: MeshObject | undefined, dirty: Dirty): void;
  /** Marks all whose services depend on this owner: those it selects, its endpoints, its slices and their pods. */
  touchMembers(owner: Owner, dirty: Dirty): void;
  /** Finds what the touched selectors select. */
  expand(dirty: Dirty): void;
}

/** With more selectors than this in a namespace, building all of it again is cheaper than asking each. */
const maxScans = 8;

export function openObjectsIndex(): ObjectsIndex {
  const objects = new Map<string, MeshObject>();
  const namespaces = new Map<string, NamespaceObject>();
  const nodes = new Map<string, NodeObject>();
  const offers = openBags<Owner>();
  const selectors = openSelectors();
  const rules = openRuleBook();
  const policies = openPolicyBook();
  const routes = openRouteBook();
  const waypoints = openWaypointBook(namespaces);
  const slicesOfPod = openBags<EndpointSliceObject>();
  const slicesOfService = openBags<EndpointSliceObject>();
  const podsOf = openBags<PodObject>();
  const entriesOf = openBags<WorkloadEntryObject>();
  const ownersOf = openBags<Owner>();
  /** Key of a Gateway -> objects and namespaces that themselves ask for it. */
  const askingFor = openBags<Wishing>();
  const namespacesFor = openBags<NamespaceObject>();
  const resolving = openBags<string>();

  const expand = (dirty: Dirty) => {
    for (const [namespace, touched] of dirty.selected) {
      const all = touched.length > maxScans;
      const pairs = touched.map((selector) => Object.entries(selector));
      const fits = (labels: Labels) => all || pairs.some((p) => p.every(([key, value]) => labels[key] === value));
      for (const pod of podsOf.get(namespace)) if (fits(pod.labels)) dirty.pods.add(identityOf(pod));
      for (const entry of entriesOf.get(namespace)) if (fits(entry.labels)) dirty.entries.add(identityOf(entry));
    }
    dirty.selected.clear();
  };

  const touchMembers = (owner: Owner, dirty: Dirty) => {
    const selector = selectorOf(owner);
    if (selector) touchSelected(owner.namespace, selector, dirty);
    if (owner.kind === 'ServiceEntry') {
      dirty.serviceEntries.add(identityOf(owner));
      return;
    }
    for (const slice of slicesOfService.get(`${owner.namespace}/${owner.name}`)) touchSlice(slice, dirty);
  };

  const touchSlice = (slice: EndpointSliceObject, dirty: Dirty) => {
    dirty.slices.add(identityOf(slice));
    for (const { pod } of slice.endpoints) if (pod !== '') dirty.pods.add(`Pod ${pod}`);
  };

  const touchNode = (node: string, dirty: Dirty) => {
    for (const object of objects.values()) {
      if (object.kind === 'Pod' && object.node === node) dirty.pods.add(identityOf(object));
      if (object.kind === 'EndpointSlice' && object.endpoints.some((e) => e.node === node)) {
        dirty.slices.add(identityOf(object));
      }
    }
  };

  const touchRuled = (rule: DestinationRuleObject, dirty: Dirty) => {
    for (const host of offers.keys()) if (covers(rule.host, host)) dirty.hosts.add(host);
  };

  /** Host names among an object's endpoints. */
  const hostnamesOf = (object: WorkloadEntryObject | ServiceEntryObject): readonly string[] => {
    if (object.kind === 'WorkloadEntry') return object.endpoint.hostname === '' ? [] : [object.endpoint.hostname];
    if (resolvesHosts(object)) return hostsOf(object);
    return object.endpoints.flatMap((e) => (e.hostname === '' ? [] : e.hostname));
  };

  /** Marks the workloads whose list of policies may change with this policy. */
  const touchPoliced = (policy: AuthorizationPolicyObject | PeerAuthenticationObject, dirty: Dirty) => {
    // Policies without a selector are not listed by workloads; modes of PeerAuthentication are.
    if (policy.kind === 'AuthorizationPolicy' && policy.selector === undefined) return;
    const everywhere = policy.namespace === rootNamespace;
    const all = everywhere ? new Set([...podsOf.keys(), ...entriesOf.keys(), ...ownersOf.keys()]) : [policy.namespace];
    for (const namespace of all) {
      touchSelected(namespace, policy.selector ?? {}, dirty);
      for (const owner of ownersOf.get(namespace)) {
        if (owner.kind === 'ServiceEntry') dirty.serviceEntries.add(identityOf(owner));
      }
    }
  };

  /** What may get another waypoint with this object. */
  const wishers = function* (object: GatewayObject | GatewayClassObject): Generator<Wishing> {
    const keys = object.kind === 'Gateway' ? [gatewayKey(object)] : waypoints.ofClass(object.name);
    for (const key of keys) {
      yield* askingFor.get(key);
      for (const { name } of namespacesFor.get(key)) {
        for (const of of [ownersOf, podsOf, entriesOf]) {
          for (const one of of.get(name)) if (one.waypoint === undefined || one.kind === 'ServiceEntry') yield one;
        }
      }
    }
  };
  const touchWisher = (one: Wishing, dirty: Dirty) => {
    if (one.kind === 'Pod') dirty.pods.add(identityOf(one));
    else if (one.kind === 'WorkloadEntry') dirty.entries.add(identityOf(one));
    else touchOwner(one, dirty);
  };
  const touchOwner = (owner: Owner, dirty: Dirty) => {
    for (const host of hostsOf(owner)) dirty.hosts.add(host);
    if (owner.kind === 'ServiceEntry') dirty.serviceEntries.add(identityOf(owner));
  };

  const touchSelected = (namespace: string, selector: Labels, dirty: Dirty) => {
    const touched = dirty.selected.get(namespace);
    if (touched) touched.push(selector);
    else dirty.selected.set(namespace, [selector]);
  };

  /** Files an object in the indexes, or takes it out. */
  const file = (identity: string, object: MeshObject, how: 'add' | 'remove', dirty: Dirty) => {
    if (isWishing(object)) for (const key of allGatewaysOf(object)) askingFor[how](key, object);
    switch (object.kind) {
      case 'Namespace':
        for (const key of gatewaysOf(object)) namespacesFor[how](key, object);
        if (how === 'add') namespaces.set(object.name, object);
        else namespaces.delete(object.name);
        for (const owner of ownersOf.get(object.name)) touchOwner(owner, dirty);
        for (const of of [podsOf.get(object.name), entriesOf.get(object.name)]) {
          for (const one of of) if (object.waypoint ?? one.waypoint) touchWisher(one, dirty);
        }
        return;
      case 'Node':
        if (how === 'add') nodes.set(object.name, object);
        else nodes.delete(object.name);
        touchNode(object.name, dirty);
        return;
      case 'Pod':
        podsOf[how](object.namespace, object);
        dirty.pods.add(identity);
        for (const slice of slicesOfPod.get(`${object.namespace}/${object.name}`)) dirty.slices.add(identityOf(slice));
        return;
      case 'WorkloadEntry':
        entriesOf[how](object.namespace, object);
        for (const host of hostnamesOf(object)) resolving[how](host, identity);
        dirty.entries.add(identity);
        return;
      case 'EndpointSlice':
        if (object.service !== '') slicesOfService[how](`${object.namespace}/${object.service}`, object);
        for (const { pod } of object.endpoints) if (pod !== '') slicesOfPod[how](pod, object);
        touchSlice(object, dirty);
        return;
      case 'DestinationRule':
        if (how === 'add') rules.put(object);
        else rules.remove(object);
        touchRuled(object, dirty);
        return;
      case 'AuthorizationPolicy':
      case 'PeerAuthentication':
        if (how === 'add') policies.put(object);
        else policies.remove(object);
        if (object.kind === 'AuthorizationPolicy' && object.aimed) routes[how](object);
        touchPoliced(object, dirty);
        return;
      case 'HTTPRoute':
      case 'GRPCRoute':
      case 'TLSRoute':
      case 'TCPRoute':
      case 'ReferenceGrant':
        routes[how](object);
        return;
      case 'Gateway':
      case 'GatewayClass':
        waypoints[how](object);
        for (const one of wishers(object)) touchWisher(one, dirty);
        return;
      case 'ServiceEntry':
        for (const host of hostnamesOf(object)) resolving[how](host, identity);
        break;
    }
    ownersOf[how](object.namespace, object);
    if (how === 'add') selectors.put(object);
    else selectors.remove(object);
    for (const host of hostsOf(object)) {
      offers[how](host, object);
      dirty.hosts.add(host);
    }
    touchMembers(object, dirty);
  };

  return {
    objects,
    namespaces,
    nodes,
    offers,
    selectors,
    rules,
    policies,
    routes,
    waypoints,
    slicesOfPod,
    resolving,
    replace(identity, next, dirty) {
      const before = objects.get(identity);
      if (before === next) return;
      if (before) {
        objects.delete(identity);
        file(identity, before, 'remove', dirty);
      }
      if (next) {
        objects.set(identity, next);
        file(identity, next, 'add', dirty);
      }
    },
    touchMembers,
    expand,
  };
}

type Wishing = Owner | PodObject | WorkloadEntryObject;

function isWishing(object: MeshObject): object is Wishing & Wisher {
  const { kind } = object;
  return kind === 'Service' || kind === 'ServiceEntry' || kind === 'Pod' || kind === 'WorkloadEntry';
}

/** Key of the service that a slice belongs to; undefined when it belongs to none. */
export function serviceOfSlice(slice: EndpointSliceObject): string | undefined {
  if (slice.service === '') return undefined;
  return `${slice.namespace}/${serviceHost(slice.namespace, slice.service)}`;
}

/** Those that its labels name, or of a ServiceEntry those of an endpoint; each once. */
function allGatewaysOf(object: Wishing): Iterable<string> {
  if (object.kind !== 'ServiceEntry') return gatewaysOf(object);
  return new Set([...gatewaysOf(object), ...object.endpoints.flatMap(gatewaysOf)]);
}

/** Those that its own labels name. */
function gatewaysOf({ waypoint, waypointCanary }: Pick<Wisher, 'waypoint' | 'waypointCanary'>): string[] {
  const named = [waypoint?.gateway, waypoint?.canary, waypointCanary?.canary];
  return named.filter((key): key is string => key !== undefined && key !== '');
}
