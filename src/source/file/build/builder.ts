// SPDX-License-Identifier: Apache-2.0
// Objects -> services and workloads of the model, as changes: only what an edit can touch is built again, and only what differs is told.
import type { Change } from '../../../mesh/model.ts';
import type { Policy } from '../../../mesh/policy.ts';
import type { RouteObject } from '../../../mesh/route.ts';
import type { Service } from '../../../mesh/service.ts';
import { noLocality, type PortMapping, type Workload } from '../../../mesh/workload.ts';
import type { Address } from '../../../net/address.ts';
import type { Finding } from '../../findings.ts';
import { identityOf, type MeshObject, type SliceEndpoint } from '../objects.ts';
import { type AddressBook, openAddressBook } from './address-book.ts';
import { type Dirty, nothingDirty, openObjectsIndex, serviceOfSlice } from './objects-index.ts';
import { hostsOf, type Owner, settleOwners } from './owners.ts';
import { replaceChanged } from './replace-changed.ts';
import { buildService, wantsAddress } from './service.ts';
import type { Chosen } from './waypoints.ts';
import * as make from './workload.ts';

export interface Builder {
  /** Puts objects in place by identity (undefined: it is gone). @returns what changes in the model. */
  update(objects: Iterable<readonly [string, MeshObject | undefined]>): Change[];
  /** What a host name leads to now (undefined: nobody asks for it any more), and why asking failed when it did. */
  resolve(hostname: string, addresses: readonly Address[] | undefined, fault?: string): Change[];
  /** Host names that endpoints have. */
  hostnames(): ReadonlySet<string>;
  /** What shows only when objects are seen together. */
  warnings(): Finding[];
  readonly services: ReadonlyMap<string, Service>;
  readonly workloads: ReadonlyMap<string, Workload>;
  readonly policies: ReadonlyMap<string, Policy>;
  readonly routes: ReadonlyMap<string, RouteObject>;
}

export function openBuilder(book: AddressBook = openAddressBook()): Builder {
  const index = openObjectsIndex();
  const services = new Map<string, Service>();
  const workloads = new Map<string, Workload>();
  /** Service key -> the object that owns it. */
  const owners = new Map<string, Owner>();
  /** Host -> keys built for it. */
  const built = new Map<string, readonly string[]>();
  /** Hosts that somebody lost, and keys for which no address was left: warnings. */
  const contested = new Set<string>();
  const without = new Set<string>();
  /** Service key -> why its waypoint cannot be used. */
  const cannot = new Map<string, string>();
  /** Identity -> uids, of objects other than pods: a pod's follows from its name. */
  const uids = new Map<string, readonly string[]>();
  const addresses = new Map<string, readonly Address[]>();
  const unresolved = new Map<string, string>();
  /** Addresses in use by services that name them, with how many do. */
  const claimed = new Map<Address, number>();
  const maps = make.openServiceMaps();
  const resolved = (hostname: string) => addresses.get(hostname);

  /** Settles who owns the dirty hosts, and marks the members of every owner that came or went. */
  const settleHosts = (dirty: Dirty) => {
    const settled = new Map<string, ReturnType<typeof settleOwners>>();
    for (const host of dirty.hosts) {
      const ownership = settleOwners(index.offers.get(host));
      settled.set(host, ownership);
      const before = built.get(host) ?? [];
      for (const key of new Set([...before, ...[...ownership.owners.keys()].map((ns) => `${ns}/${host}`)])) {
        const was = owners.get(key);
        const is = ownership.owners.get(key.slice(0, key.indexOf('/')));
        if (was === is) continue;
        if (was) index.touchMembers(was, dirty);
        if (is) index.touchMembers(is, dirty);
        claim(was, -1);
        claim(is, 1);
        if (is) owners.set(key, is);
        else owners.delete(key);
      }
    }
    return settled;
  };

  const claim = (owner: Owner | undefined, by: 1 | -1) => {
    for (const item of owner?.addresses ?? []) {
      const address = typeof item === 'string' ? item : item.address;
      const count = (claimed.get(address) ?? 0) + by;
      if (count > 0) claimed.set(address, count);
      else claimed.delete(address);
    }
  };

  const unusable = (key: string, { waypoint, weighted }: Chosen) => {
    const all = weighted.length > 0 ? weighted.map(({ destination }) => destination) : waypoint ? [waypoint] : [];
    const reasons = all.flatMap(({ destination: to }) => (to.kind === 'unusable' ? [to.reason] : []));
    if (reasons.length === 0) cannot.delete(key);
    else cannot.set(key, reasons.join('; '));
  };

  const putService = (key: string, next: Service | undefined, changes: Change[]) => {
    if (!replaceChanged(services, key, next)) return;
    changes.push(next ? { kind: 'put-service', service: next } : { kind: 'remove-service', key });
  };

  const buildHosts = (dirty: Dirty, changes: Change[]) => {
    const settled = settleHosts(dirty);
    const wanting: string[] = [];
    for (const [host, { owners: winners }] of settled) {
      for (const [namespace, owner] of winners) {
        if (wantsAddress(owner, host)) wanting.push(`${namespace}/${host}`);
        else book.release(`${namespace}/${host}`);
      }
      for (const key of built.get(host) ?? []) if (!owners.has(key)) book.release(key);
    }
    book.assign(wanting, (address) => claimed.has(address));
    for (const [host, { owners: winners, canonical, losers }] of settled) {
      if (losers.length > 0) contested.add(host);
      else contested.delete(host);
      for (const [namespace, owner] of winners) {
        const key = `${namespace}/${host}`;
        const assigned = wantsAddress(owner, host) ? book.get(key) : undefined;
        if (wantsAddress(owner, host) && !assigned) without.add(key);
        else without.delete(key);
        const facts = {
          hostname: host,
          canonical: namespace === canonical,
          distribution: index.namespaces.get(namespace)?.distribution,
          rule: index.rules.find(host, namespace),
          assigned,
          waypoint: index.waypoints.chooseFor('service', owner),
        };
        unusable(key, facts.waypoint);
        putService(key, buildService(owner, facts), changes);
      }
      for (const key of built.get(host) ?? []) {
        if (owners.has(key)) continue;
        without.delete(key);
        cannot.delete(key);
        putService(key, undefined, changes);
      }
      if (winners.size > 0)
        built.set(
          host,
          [...winners.keys()].map((namespace) => `${namespace}/${host}`),
        );
      else built.delete(host);
    }
  };

  const putWorkloads = (identity: string, next: readonly Workload[], changes: Change[]) => {
    const pod = identity.startsWith('Pod ');
    for (const uid of pod ? [make.podUid(identity.slice(4))] : (uids.get(identity) ?? [])) {
      if (!next.some((w) => w.uid === uid) && workloads.delete(uid)) changes.push({ kind: 'remove-workload', uid });
    }
    if (!pod) {
      if (next.length > 0) {
        uids.set(
          identity,
          next.map((w) => w.uid),
        );
      } else uids.delete(identity);
    }
    for (const workload of next) {
      if (replaceChanged(workloads, workload.uid, workload)) changes.push({ kind: 'put-workload', workload });
    }
  };

  /** Hosts of `owner` that it owns. */
  const ownedBy = (owner: Owner): make.Membership[] =>
    hostsOf(owner).flatMap((host) => {
      const key = `${owner.namespace}/${host}`;
      return owners.get(key) === owner ? { key, of: owner } : [];
    });

  const mapOf = (members: readonly make.Membership[], ports: (of: Owner) => readonly PortMapping[]) =>
    maps.of(members.map(({ key, of }) => [key, ports(of)] as const).sort(([a], [b]) => (a < b ? -1 : 1)));

  const localityOf = (endpoint: SliceEndpoint) =>
    index.nodes.get(endpoint.node)?.locality ??
    (endpoint.zone === '' ? noLocality : { ...noLocality, zone: endpoint.zone });

  const buildObject = (identity: string): readonly Workload[] => {
    const object = index.objects.get(identity);
    switch (object?.kind) {
      case 'Pod': {
        const members = index.selectors.find(object.namespace, object.labels).flatMap(ownedBy);
        for (const slice of index.slicesOfPod.get(`${object.namespace}/${object.name}`)) {
          const key = serviceOfSlice(slice);
          const owner = key === undefined ? undefined : owners.get(key);
          if (key === undefined || owner?.kind !== 'Service' || members.some((m) => m.key === key)) continue;
          members.push({ key, of: owner });
        }
        const locality = index.nodes.get(object.node)?.locality ?? noLocality;
        const workload = make.podWorkload(
          object,
          locality,
          mapOf(members, (of) => make.podPorts(object, of)),
          index.policies.namesFor(object.namespace, object.labels),
          index.waypoints.chooseFor('workload', object),
        );
        return workload ? [workload] : [];
      }
      case 'WorkloadEntry': {
        const members = index.selectors.find(object.namespace, object.labels).flatMap(ownedBy);
        return make.entryWorkloads(
          object,
          mapOf(members, (of) => make.entryPorts(object.endpoint, of)),
          resolved,
          index.policies.namesFor(object.namespace, object.labels),
          index.waypoints.chooseFor('workload', object),
        );
      }
      case 'ServiceEntry':
        return make.inlineWorkloads(
          object,
          ownedBy(object),
          maps,
          resolved,
          index.policies.namesFor(object.namespace, object.labels),
          ({ waypoint }) => {
            const { namespace, waypointUnready } = object;
            return index.waypoints.chooseFor('workload', {
              namespace,
              ...(waypoint && { waypoint }),
              ...(waypointUnready && { waypointUnready }),
            });
          },
        );
      case 'EndpointSlice': {
        const key = serviceOfSlice(object);
        const owner = key === undefined ? undefined : owners.get(key);
        if (key === undefined || owner?.kind !== 'Service') return [];
        const map = maps.of([[key, make.slicePorts(object, owner)]]);
        return make.sliceWorkloads(object, map, (pod) => index.objects.has(`Pod ${pod}`), localityOf);
      }
      default:
        return [];
    }
  };

  const build = (dirty: Dirty): Change[] => {
    const changes: Change[] = [];
    // What a workload names is there before it, and goes after it.
    const gone: Change[] = [];
    for (const [key, policy] of index.policies.changes()) {
      if (policy) changes.push({ kind: 'put-policy', policy });
      else gone.push({ kind: 'remove-policy', key });
    }
    for (const [key, gateway] of index.waypoints.changes()) {
      if (gateway) changes.push({ kind: 'put-gateway', gateway });
      else gone.push({ kind: 'remove-gateway', key });
    }
    for (const [key, route] of index.routes.changes()) {
      if (route) changes.push({ kind: 'put-route', route });
      else gone.push({ kind: 'remove-route', key });
    }
    buildHosts(dirty, changes);
    index.expand(dirty);
    for (const set of [dirty.pods, dirty.entries, dirty.serviceEntries, dirty.slices]) {
      for (const identity of set) putWorkloads(identity, buildObject(identity), changes);
    }
    changes.push(...gone);
    return changes;
  };

  return {
    services,
    workloads,
    policies: index.policies.policies,
    routes: index.routes.routes,
    update(objects) {
      const dirty = nothingDirty();
      for (const [identity, object] of objects) index.replace(identity, object, dirty);
      return build(dirty);
    },
    resolve(hostname, found, fault) {
      if (fault === undefined) unresolved.delete(hostname);
      else unresolved.set(hostname, fault);
      if (found) addresses.set(hostname, found);
      else addresses.delete(hostname);
      const dirty = nothingDirty();
      for (const identity of index.resolving.get(hostname)) {
        const set = identity.startsWith('WorkloadEntry ') ? dirty.entries : dirty.serviceEntries;
        set.add(identity);
      }
      return build(dirty);
    },
    hostnames: () => new Set(index.resolving.keys()),
    warnings() {
      const out: Finding[] = [];
      for (const host of contested) {
        for (const { loser, winner } of settleOwners(index.offers.get(host)).losers) {
          const reason = `${JSON.stringify(host)} belongs to ${identityOf(winner)}; it is left out here`;
          out.push({ ...loser.place, resource: identityOf(loser), field: 'spec.hosts', reason });
        }
      }
      for (const key of without) {
        const owner = owners.get(key);
        const reason = `no automatic address is left for ${JSON.stringify(key.slice(key.indexOf('/') + 1))}`;
        if (owner) out.push({ ...owner.place, resource: identityOf(owner), field: 'spec.hosts', reason });
      }
      for (const [key, reason] of cannot) {
        const owner = owners.get(key);
        const field = 'istio.io/use-waypoint';
        if (owner) out.push({ ...owner.place, resource: identityOf(owner), field, reason });
      }
      for (const [hostname, fault] of unresolved) {
        for (const identity of index.resolving.get(hostname)) {
          const object = index.objects.get(identity);
          if (!object) continue;
          const reason = `host name ${JSON.stringify(hostname)} is not resolved: ${fault}`;
          out.push({ ...object.place, resource: identity, field: '', reason });
        }
      }
      return [...out, ...index.rules.warnings()];
    },
  };
}
