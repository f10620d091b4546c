// SPDX-License-Identifier: Apache-2.0
// One waypoint at the control plane: what its proxies are told, and what they said of it.
import type { Attachments } from '../compile/l7/attach.ts';
import { openWaypointCompiler } from '../compile/l7/compile.ts';
import { waypointScope } from '../compile/l7/scope.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Locality } from '../mesh/workload.ts';
import { parseListenAddress } from '../net/socket-address.ts';
import type { Response, Way } from './messages.ts';
import { openQuality, type Quality } from './quality.ts';
import { openSession, type Refused, type Session, type TypeState } from './session.ts';
import { emptySnapshot, openEncoder, type Snapshot } from './snapshot.ts';
import { type TypeName, typeNames } from './types.ts';

export interface ProxyStatus {
  /** Its node.id. */
  readonly id: string;
  /** "10.0.0.1:40000"; '' through a unix socket. */
  readonly peer: string;
  readonly way: Way;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly types: readonly TypeState[];
  /** What it asks for, too, and there is none of here. */
  readonly unknown: readonly string[];
}

export interface RefusedBy extends Refused {
  /** Ids of connected proxies that refuse it. */
  readonly proxies: readonly string[];
}

export interface WaypointStatus {
  /** "namespace/name" */
  readonly waypoint: string;
  /** Where its listener is, when the proxies say so. */
  readonly listen: string;
  /** Where they are, when they say so: name of the node, and "region/zone/subzone". */
  readonly node: string;
  readonly locality: string;
  readonly proxies: readonly ProxyStatus[];
  /** What there is for them. */
  readonly resources: Readonly<Record<keyof Snapshot, number>>;
  readonly refused: readonly RefusedBy[];
}

export interface Client {
  readonly id: string;
  readonly peer: string;
  readonly way: Way;
  readonly since: number;
  readonly session: Session;
}

/** What makes the resources of one Envoy differ from those of another one of the same waypoint. */
export interface Place {
  /** "namespace/name" */
  readonly name: string;
  /** ADDRESS:PORT, or ''. */
  readonly listen: string;
  /** Name of its node, or ''. */
  readonly node: string;
  /** Without a region when it does not say. */
  readonly locality: Locality;
}

export interface Waypoint {
  readonly place: Place;
  /** There is all there is to tell. */
  readonly made: boolean;
  /** Proxies that are connected. */
  readonly size: number;
  /** How many resources there are for them. */
  readonly resources: number;
  /**
   * Takes up another model. The first time proxies are told of each sort as soon as it is made, and digest it while the next one is: later all of it
   * at the end. Throws what is a fault of ours; what was told before stays. To be run to its end before it is called again.
   */
  refreshing(model: Model, attach: () => Attachments): Steps<void>;
  join(client: Omit<Client, 'session'>, send: (response: Response) => void): Client;
  leave(client: Client): void;
  status(): WaypointStatus;
}

/** So many more than there are before the last good versions of what is gone are forgotten. */
const slack = 64;

/** `view`: of a proxy that does not say where it is. */
export function openWaypoint(
  place: Place,
  view: NodeView,
  quality: Quality = openQuality(),
): Waypoint & { readonly quality: Quality } {
  const { name, listen, node, locality } = place;
  const openCompiler = () =>
    openWaypointCompiler({ ...view, ...(locality.region && { locality }), ...(node && { node }) });
  let compiler = openCompiler();
  let encode = openEncoder();
  const clients = new Set<Client>();
  const [namespace = '', gateway = ''] = name.split('/');
  const at = parseListenAddress(listen);
  let snapshot = emptySnapshot;
  let made = false;
  const ready = new Set<TypeName>();
  /** What those refused who are gone: it tells why they went on as they did. */
  let left: readonly RefusedBy[] = [];

  return {
    place,
    quality,
    get made() {
      return made;
    },
    get size() {
      return clients.size;
    },
    get resources() {
      return typeNames.reduce((sum, type) => sum + snapshot[type].size, 0);
    },
    *refreshing(model, attach) {
      const where = at ? { address: at.host ?? '::', port: at.port } : {};
      const scope = waypointScope(model, { namespace, name: gateway }, where);
      const tell = () => {
        for (const { session } of clients) session.update(snapshot, new Set(ready));
      };
      try {
        let next: Snapshot = snapshot;
        for (const part of compiler.compiling(model, attach, scope)) {
          if (part) next = { ...next, [part.type]: yield* encode(part.type, part.table) };
          if (part && !made) {
            snapshot = next;
            ready.add(part.type);
            tell();
          }
          yield;
        }
        snapshot = next;
      } catch (error) {
        // They go by what changed since the last time, which is of no use now.
        compiler = openCompiler();
        encode = openEncoder();
        throw error;
      }
      for (const type of typeNames) quality.prune(type, snapshot[type], slack);
      if (made) tell();
      made = true;
    },
    join(client, send) {
      const session = openSession({ way: client.way, quality, send });
      session.update(snapshot, new Set(ready));
      const joined = { ...client, session };
      clients.add(joined);
      return joined;
    },
    leave(client) {
      if (!clients.delete(client)) return;
      const gone = client.session.refused().map((one) => ({ ...one, proxies: [] }));
      left = merged([...left.filter((one) => isCurrent(snapshot, one)), ...gone]);
    },
    status: () => ({
      waypoint: name,
      ...{ listen, node, locality: [locality.region, locality.zone, locality.subzone].filter(Boolean).join('/') },
      proxies: Array.from(clients, ({ id, peer, way, since, session }) => ({
        ...{ id, peer, way, since },
        ...{ types: session.types(), unknown: [...session.unknown] },
      })),
      resources: {
        clusters: snapshot.clusters.size,
        endpoints: snapshot.endpoints.size,
        listeners: snapshot.listeners.size,
        routes: snapshot.routes.size,
      },
      refused: merged([
        ...[...clients].flatMap(({ id, session }) => session.refused().map((one) => ({ ...one, proxies: [id] }))),
        ...left.filter((one) => isCurrent(snapshot, one) && quality.best(one.type, one.name)?.version !== one.version),
      ]),
    }),
  };
}

const isCurrent = (snapshot: Snapshot, { type, name, version }: Refused): boolean =>
  snapshot[type].get(name)?.version === version;

/** What several refuse is one; what is said first counts. */
function merged(list: readonly RefusedBy[]): RefusedBy[] {
  const out = new Map<string, RefusedBy>();
  for (const one of list) {
    const key = `${one.type} ${one.name} ${one.version}`;
    const known = out.get(key);
    out.set(key, known ? { ...known, proxies: [...known.proxies, ...one.proxies] } : one);
  }
  return [...out.values()];
}
