// SPDX-License-Identifier: Apache-2.0
// Objects -> services and workloads of the model, as changes: only what an edit can touch is built again, and only what differs is told.
import type { Change } from '../../../mesh/model.ts';
import type { Policy } from '../../../mesh/policy.ts';
import type { RouteObject } from '../../../mesh/route.ts';
import type { Service } from '../../../mesh/service.ts';
import { noLocality, type PortMapping, type Workload } from '../../../mesh/workload.ts';
import type { Address } from '../../../net/address.ts';
import type { Finding } from '../../findings.ts';
import type { MeshObject, SliceEndpoint } from '../objects.ts';
import { type AddressBook, openAddressBook } from './address-book.ts';
import { type Dirty, nothingDirty, openObjectsIndex, serviceOfSlice } from './objects-index.ts';
import { hostsOf, type Owner } from './owners.ts';
import { replaceChanged } from './replace-changed.ts';
import { openServiceBook } from './service-book.ts';
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
  const serviceBook = openServiceBook(index, book);
  const { services, owners } = serviceBook;
  const workloads = new Map<string, Workload>();
  /** Identity -> uids, of objects other than pods: a pod's follows from its name. */
  const uids = new Map<string, readonly string[]>();
  const addresses = new Map<string, readonly Address[]>();
  const unresolved = new Map<string, string>();
  const maps = make.openServiceMaps();
  const resolved = (hostname: string) => addresses.get(hostname);

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
    serviceBook.build(dirty, changes);
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
      const out = serviceBook.warnings();
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
