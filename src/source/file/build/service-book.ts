// SPDX-License-Identifier: Apache-2.0
// Host names -> services of the model, by who owns them: only those of the hosts that an edit can touch are built again.
import type { Change } from '../../../mesh/model.ts';
import type { Service } from '../../../mesh/service.ts';
import type { Address } from '../../../net/address.ts';
import type { Finding } from '../../findings.ts';
import { identityOf } from '../objects.ts';
import type { AddressBook } from './address-book.ts';
import type { Dirty, ObjectsIndex } from './objects-index.ts';
import { type Owner, type Ownership, settleOwners } from './owners.ts';
import { replaceChanged } from './replace-changed.ts';
import { buildService, wantsAddress } from './service.ts';
import type { Chosen } from './waypoints.ts';

export interface ServiceBook {
  /** By key: "namespace/hostname". */
  readonly services: ReadonlyMap<string, Service>;
  /** Key of a service -> the object that owns it. */
  readonly owners: ReadonlyMap<string, Owner>;
  /** Builds the services of the dirty hosts, and marks the members of every owner that came or went. */
  build(dirty: Dirty, changes: Change[]): void;
  /** What shows only when objects are seen together. */
  warnings(): Finding[];
}

export function openServiceBook(index: ObjectsIndex, book: AddressBook): ServiceBook {
  const services = new Map<string, Service>();
  const owners = new Map<string, Owner>();
  /** Host -> keys built for it. */
  const built = new Map<string, readonly string[]>();
  /** Hosts that somebody lost, and keys for which no address was left: warnings. */
  const contested = new Set<string>();
  const without = new Set<string>();
  /** Key -> why its waypoint cannot be used. */
  const cannot = new Map<string, string>();
  /** Addresses in use by services that name them, with how many do. */
  const claimed = new Map<Address, number>();

  const claim = (owner: Owner | undefined, by: 1 | -1) => {
    for (const item of owner?.addresses ?? []) {
      const address = typeof item === 'string' ? item : item.address;
      const count = (claimed.get(address) ?? 0) + by;
      if (count > 0) claimed.set(address, count);
      else claimed.delete(address);
    }
  };

  /** Settles who owns a host, and marks the members of every owner that came or went. */
  const settleHost = (host: string, dirty: Dirty): Ownership => {
    const ownership = settleOwners(index.offers.get(host));
    for (const key of new Set([...(built.get(host) ?? []), ...keysOf(host, ownership)])) {
      const was = owners.get(key);
      const is = ownership.owners.get(namespaceOf(key));
      if (was === is) continue;
      if (was) index.touchMembers(was, dirty);
      if (is) index.touchMembers(is, dirty);
      claim(was, -1);
      claim(is, 1);
      if (is) owners.set(key, is);
      else owners.delete(key);
    }
    return ownership;
  };

  /** Gives addresses to those that want one, all at once: who comes first is then no matter of order. */
  const assignAddresses = (settled: ReadonlyMap<string, Ownership>) => {
    const wanting: string[] = [];
    for (const [host, ownership] of settled) {
      for (const [namespace, owner] of ownership.owners) {
        if (wantsAddress(owner, host)) wanting.push(`${namespace}/${host}`);
        else book.release(`${namespace}/${host}`);
      }
      for (const key of built.get(host) ?? []) if (!owners.has(key)) book.release(key);
    }
    book.assign(wanting, (address) => claimed.has(address));
  };

  const noteWaypoint = (key: string, { waypoint, weighted }: Chosen) => {
    const all = weighted.length > 0 ? weighted.map(({ destination }) => destination) : waypoint ? [waypoint] : [];
    const reasons = all.flatMap(({ destination: to }) => (to.kind === 'unusable' ? [to.reason] : []));
    if (reasons.length === 0) cannot.delete(key);
    else cannot.set(key, reasons.join('; '));
  };

  const putService = (key: string, next: Service | undefined, changes: Change[]) => {
    if (!replaceChanged(services, key, next)) return;
    changes.push(next ? { kind: 'put-service', service: next } : { kind: 'remove-service', key });
  };

  const buildHost = (host: string, ownership: Ownership, changes: Change[]) => {
    if (ownership.losers.length > 0) contested.add(host);
    else contested.delete(host);
    for (const [namespace, owner] of ownership.owners) {
      const key = `${namespace}/${host}`;
      const wants = wantsAddress(owner, host);
      const assigned = wants ? book.get(key) : undefined;
      if (wants && !assigned) without.add(key);
      else without.delete(key);
      const facts = {
        hostname: host,
        canonical: namespace === ownership.canonical,
        distribution: index.namespaces.get(namespace)?.distribution,
        rule: index.rules.find(host, namespace),
        assigned,
        waypoint: index.waypoints.chooseFor('service', owner),
      };
      noteWaypoint(key, facts.waypoint);
      putService(key, buildService(owner, facts), changes);
    }
    for (const key of built.get(host) ?? []) {
      if (owners.has(key)) continue;
      without.delete(key);
      cannot.delete(key);
      putService(key, undefined, changes);
    }
    if (ownership.owners.size > 0) built.set(host, keysOf(host, ownership));
    else built.delete(host);
  };

  return {
    services,
    owners,
    build(dirty, changes) {
      const settled = new Map<string, Ownership>();
      for (const host of dirty.hosts) settled.set(host, settleHost(host, dirty));
      assignAddresses(settled);
      for (const [host, ownership] of settled) buildHost(host, ownership, changes);
    },
    warnings() {
      const out: Finding[] = [];
      const tell = (owner: Owner | undefined, field: string, reason: string) => {
        if (owner) out.push({ ...owner.place, resource: identityOf(owner), field, reason });
      };
      for (const host of contested) {
        for (const { loser, winner } of settleOwners(index.offers.get(host)).losers) {
          const reason = `${JSON.stringify(host)} belongs to ${identityOf(winner)}; it is left out here`;
          tell(loser, 'spec.hosts', reason);
        }
      }
      for (const key of without) {
        const host = key.slice(key.indexOf('/') + 1);
        tell(owners.get(key), 'spec.hosts', `no automatic address is left for ${JSON.stringify(host)}`);
      }
      for (const [key, reason] of cannot) tell(owners.get(key), 'istio.io/use-waypoint', reason);
      return out;
    },
  };
}

const keysOf = (host: string, { owners }: Ownership): string[] =>
  Array.from(owners.keys(), (namespace) => `${namespace}/${host}`);

const namespaceOf = (key: string): string => key.slice(0, key.indexOf('/'));
