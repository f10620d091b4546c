// SPDX-License-Identifier: Apache-2.0
// Several sources as one. An object that more than one gives is taken whole from the source named first. Only ports whose transport
// that source does not say learn it from the next one that does, by port number.
import type { Gateway } from '../mesh/gateway.ts';
import type { Change } from '../mesh/model.ts';
import type { Policy } from '../mesh/policy.ts';
import type { RouteObject } from '../mesh/route.ts';
import type { Service, ServicePort } from '../mesh/service.ts';
import { keyOf, kindOf, type ObjectKind } from '../mesh/subject.ts';
import type { Workload } from '../mesh/workload.ts';

export interface Origin {
  /** Name of the source that it is taken from. */
  readonly source: string;
  /** Sources that give it too and are not listened to, in their order. */
  readonly shadows: readonly string[];
}

export interface Combination {
  /** What the source at `place` says, as changes of the whole: puts, then removals. */
  take(place: number, changes: readonly Change[]): Generator<undefined, readonly Change[]>;
  /** Forgets what the source at `place` said. */
  clear(place: number): void;
  /** Puts of all there is. */
  everything(): Generator<undefined, readonly Change[]>;
  /** Undefined: no source gives it. */
  origin(kind: ObjectKind, name: string): Origin | undefined;
}

/** Changes between two pauses. */
const step = 500;

/** `names`: of the sources, the one that counts most first. */
export function openCombination(names: readonly string[]): Combination {
  const held: readonly Held[] = names.map(() => ({
    workload: new Map(),
    service: new Map(),
    policy: new Map(),
    gateway: new Map(),
    route: new Map(),
  }));

  const winner = (kind: ObjectKind, name: string): number => held.findIndex((source) => source[kind].has(name));

  const effective = (kind: ObjectKind, name: string): Thing | undefined => {
    const first = winner(kind, name);
    const thing = held[first]?.[kind].get(name);
    if (kind !== 'service' || thing === undefined) return thing;
    return narrowed(
      thing as Service,
      held.slice(first + 1).flatMap((source) => source.service.get(name) ?? []),
    );
  };

  return {
    *take(place, changes) {
      const source = held[place] as Held;
      const touched = {
        workload: new Set<string>(),
        service: new Set<string>(),
        policy: new Set<string>(),
        gateway: new Set<string>(),
        route: new Set<string>(),
      };
      let count = 0;
      for (const change of changes) {
        if (++count % step === 0) yield;
        const [kind, name, thing] = [kindOf(change), keyOf(change), thingOf(change)];
        const table: Map<string, Thing> = source[kind];
        if (thing === undefined) table.delete(name);
        else table.set(name, thing);
        const first = winner(kind, name);
        // What is shadowed shows only where the transport of a port is open.
        if (first === -1 || first >= place || (kind === 'service' && isOpen(held[first]?.service.get(name)))) {
          touched[kind].add(name);
        }
      }
      const puts: Change[] = [];
      const removals: Change[] = [];
      for (const kind of kinds) {
        for (const name of touched[kind]) {
          if (++count % step === 0) yield;
          const thing = effective(kind, name);
          if (thing) puts.push(put(kind, thing));
          else removals.push(removal(kind, name));
        }
      }
      return [...puts, ...removals];
    },

    clear(place) {
      for (const kind of kinds) held[place]?.[kind].clear();
    },

    *everything() {
      const puts: Change[] = [];
      let count = 0;
      for (const kind of kinds) {
        for (const [place, source] of held.entries()) {
          for (const name of source[kind].keys()) {
            if (++count % step === 0) yield;
            if (winner(kind, name) === place) puts.push(put(kind, effective(kind, name) as Thing));
          }
        }
      }
      return puts;
    },

    origin(kind, name) {
      const [source, ...shadows] = names.filter((_, place) => held[place]?.[kind].has(name));
      return source === undefined ? undefined : { source, shadows };
    },
  };
}

type Thing = Workload | Service | Policy | Gateway | RouteObject;

interface Held {
  readonly workload: Map<string, Workload>;
  readonly service: Map<string, Service>;
  readonly policy: Map<string, Policy>;
  readonly gateway: Map<string, Gateway>;
  readonly route: Map<string, RouteObject>;
}

/** Policies before those that they protect, services before their endpoints. */
const kinds = ['policy', 'gateway', 'route', 'service', 'workload'] as const;

/** The same for all changes of one object. */
export const subjectText = (change: Change): string => `${kindOf(change)} ${keyOf(change)}`;

/** What is put; undefined of a removal. */
function thingOf(change: Change): Thing | undefined {
  switch (change.kind) {
    case 'put-workload':
      return change.workload;
    case 'put-service':
      return change.service;
    case 'put-policy':
      return change.policy;
    case 'put-gateway':
      return change.gateway;
    case 'put-route':
      return change.route;
    default:
      return undefined;
  }
}

// The tables are typed by kind, so the casts hold.
function put(kind: ObjectKind, thing: Thing): Change {
  if (kind === 'workload') return { kind: 'put-workload', workload: thing as Workload };
  if (kind === 'service') return { kind: 'put-service', service: thing as Service };
  if (kind === 'gateway') return { kind: 'put-gateway', gateway: thing as Gateway };
  if (kind === 'route') return { kind: 'put-route', route: thing as RouteObject };
  return { kind: 'put-policy', policy: thing as Policy };
}

function removal(kind: ObjectKind, name: string): Change {
  if (kind === 'workload') return { kind: 'remove-workload', uid: name };
  if (kind === 'service') return { kind: 'remove-service', key: name };
  if (kind === 'gateway') return { kind: 'remove-gateway', key: name };
  return { kind: kind === 'route' ? 'remove-route' : 'remove-policy', key: name };
}

const isOpen = (service: Service | undefined): boolean =>
  service?.ports.some(({ protocol }) => protocol === 'any') ?? false;

/** `service`, its open ports with the transports that the first of `others` says which has them. */
function narrowed(service: Service, others: readonly Service[]): Service {
  if (others.length === 0 || !isOpen(service)) return service;
  const ports = service.ports.map((port): ServicePort => {
    if (port.protocol !== 'any') return port;
    for (const other of others) {
      const said = new Set(other.ports.filter((p) => p.port === port.port).map((p) => p.protocol));
      // TCP and UDP both: that is what 'any' means.
      const [protocol] = said;
      if (said.size === 1 && protocol !== undefined && protocol !== 'any') return { ...port, protocol };
      if (said.has('tcp') || said.has('udp')) return port;
    }
    return port;
  });
  return ports.every((port, i) => port === service.ports[i]) ? service : { ...service, ports };
}
