// SPDX-License-Identifier: Apache-2.0
// Which waypoint a service or workload goes through: its own wish before its namespace's, and whether the Gateway that it names takes it.
import {
  type Gateway,
  type GatewayAddress,
  type GatewayDestination,
  gatewayKey,
  type Otherwise,
} from '../../../mesh/gateway.ts';
import type {
  AllowedFrom,
  CanaryWish,
  GatewayClassObject,
  GatewayObject,
  Labels,
  NamespaceObject,
  WaypointWish,
} from '../objects.ts';
import { noWaypoint } from '../waypoint-labels.ts';
import { replaceChanged } from './replace-changed.ts';

/** What can have a waypoint. */
export interface Wisher {
  readonly namespace: string;
  readonly waypoint?: WaypointWish;
  readonly waypointCanary?: CanaryWish;
  readonly waypointUnready?: Otherwise;
}

export interface Chosen {
  readonly waypoint?: GatewayAddress;
  readonly weighted: readonly { readonly destination: GatewayAddress; readonly weight: number }[];
  readonly unready?: Otherwise;
}

export interface WaypointBook {
  add(object: GatewayObject | GatewayClassObject): void;
  remove(object: GatewayObject | GatewayClassObject): void;
  chooseFor(what: 'service' | 'workload', wisher: Wisher): Chosen;
  /** Keys of the Gateways of a class. */
  ofClass(name: string): Iterable<string>;
  /** What differs since this was asked last, by key (undefined: gone). */
  changes(): Map<string, Gateway | undefined>;
}

/** What Istio dials a waypoint at; no header of ours goes there. */
const hboneMtlsPort = 15008;
const nothing: Chosen = { weighted: [] };

export function openWaypointBook(namespaces: ReadonlyMap<string, NamespaceObject>): WaypointBook {
  const objects = new Map<string, GatewayObject>();
  const classes = new Map<string, GatewayClassObject>();
  const gateways = new Map<string, Gateway>();
  const told = new Map<string, Gateway>();
  const touched = new Set<string>();
  /** One value for all that go through a gateway. */
  const usable = new Map<string, GatewayAddress>();

  const touch = (key: string) => {
    touched.add(key);
    usable.delete(key);
    const object = objects.get(key);
    if (object) gateways.set(key, gatewayOf(object, classes.get(object.className)));
    else gateways.delete(key);
  };
  const file = (object: GatewayObject | GatewayClassObject, how: 'add' | 'remove') => {
    if (object.kind === 'Gateway') {
      if (how === 'add') objects.set(gatewayKey(object), object);
      else objects.delete(gatewayKey(object));
      touch(gatewayKey(object));
      return;
    }
    if (how === 'add') classes.set(object.name, object);
    else classes.delete(object.name);
    for (const [key, { className }] of objects) if (className === object.name) touch(key);
  };

  const wishOf = ({ namespace, waypoint, waypointCanary }: Wisher): WaypointWish =>
    waypoint ?? { ...(namespaces.get(namespace)?.waypoint ?? noWaypoint), ...waypointCanary };

  /** Undefined: the gateway does not care for what only its namespace sends there. */
  const through = (
    key: string,
    what: 'service' | 'workload',
    wisher: Wisher,
    own: boolean,
  ): GatewayAddress | undefined => {
    const gateway = gateways.get(key);
    const unusable = (reason: string): GatewayAddress => ({
      destination: { kind: 'unusable', reason: `Gateway ${key} ${reason}` },
      hboneMtlsPort,
      gateway: key,
    });
    const takes = gateway?.waypointFor ?? 'service';
    if (takes !== 'all' && takes !== what) {
      if (!own) return undefined;
      if (gateway) return unusable(takes === 'none' ? 'is for no traffic' : `is for ${takes}s only`);
    }
    if (!gateway) return unusable('is not there');
    const allowed = objects.get(key)?.allowed ?? [];
    if (gateway.namespace !== wisher.namespace && !allowed.some((from) => allows(from, wisher.namespace))) {
      return unusable(`takes nothing from namespace "${wisher.namespace}"`);
    }
    const [destination, ...others] = gateway.addresses;
    if (!destination) return unusable('has no address');
    let address = usable.get(key);
    if (!address) {
      const { binding } = gateway;
      const also = others.filter(({ kind }) => kind === destination.kind);
      const places = { destination, ...(also.length > 0 && { also }) };
      address = { ...places, hboneMtlsPort, gateway: key, ...(binding && { binding }) };
      usable.set(key, address);
    }
    return address;
  };

  const allows = (from: AllowedFrom, namespace: string): boolean => {
    if (from.from !== 'Selector') return from.from === 'All';
    const labels: Labels = { 'kubernetes.io/metadata.name': namespace, ...namespaces.get(namespace)?.labels };
    return (
      Object.entries(from.labels).every(([key, value]) => labels[key] === value) &&
      from.expressions.every(({ key, operator, values }) => {
        const value = labels[key];
        if (operator === 'Exists') return value !== undefined;
        if (operator === 'DoesNotExist') return value === undefined;
        const inside = value !== undefined && values.includes(value);
        return operator === 'In' ? inside : !inside;
      })
    );
  };

  return {
    add: (object) => file(object, 'add'),
    remove: (object) => file(object, 'remove'),
    chooseFor(what, wisher) {
      const own = wisher.waypoint !== undefined;
      const { gateway, canary, canaryWeight } = wishOf(wisher);
      if (gateway === '') return nothing;
      const waypoint = through(gateway, what, wisher, own);
      if (!waypoint) return nothing;
      const alone = canary === '' || canary === gateway || canaryWeight === 0 || what === 'workload';
      const other = alone ? undefined : through(canary, what, wisher, own);
      const unready = wisher.waypointUnready ?? namespaces.get(wisher.namespace)?.waypointUnready;
      const weighted = other
        ? [
            { destination: waypoint, weight: 100 - canaryWeight },
            { destination: other, weight: canaryWeight },
          ]
        : [];
      return { waypoint, weighted, ...(unready && { unready }) };
    },
    *ofClass(name) {
      for (const [key, { className }] of objects) if (className === name) yield key;
    },
    changes() {
      const changes = new Map<string, Gateway | undefined>();
      for (const key of touched) {
        const next = gateways.get(key);
        if (replaceChanged(told, key, next)) changes.set(key, next);
      }
      touched.clear();
      return changes;
    },
  };
}

function gatewayOf(object: GatewayObject, of: GatewayClassObject | undefined): Gateway {
  const { namespace, name, className, created } = object;
  const binding = object.binding ?? of?.binding;
  const destinations = object.addresses.map((a): GatewayDestination => {
    if ('address' in a) return { kind: 'address', network: '', address: a.address };
    const [, home = namespace] = /^[^.]+\.([^.]+)\.svc(?:\.|$)/.exec(a.hostname) ?? [];
    return { kind: 'hostname', namespace: home, hostname: a.hostname };
  });
  return {
    namespace,
    name,
    className,
    waypointFor: object.waypointFor ?? of?.waypointFor ?? 'service',
    // By name it follows the endpoints of a service.
    addresses: destinations.sort((a, b) => Number(a.kind !== 'hostname') - Number(b.kind !== 'hostname')),
    ...(binding && { binding }),
    ...(created === undefined ? {} : { created }),
  };
}
