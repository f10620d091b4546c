// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints over gRPC: each Envoy is told of the waypoint that it says it is.
import { ServerCredentials } from '@grpc/grpc-js';
import { type Attachments, type AttachOptions, openAttacher } from '../compile/l7/attach.ts';
import { policyStatuses } from '../compile/l7/policy-status.ts';
import type { ParentStatus } from '../compile/l7/settle.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import { finish, type Steps } from '../mesh/steps.ts';
import { parseListenAddress } from '../net/socket-address.ts';
import { watchConditions } from './condition-watch.ts';
import { openDoors } from './doors.ts';
import type { Request, Response, Way } from './messages.ts';
import type { Quality } from './quality.ts';
import type { WaypointServerLog } from './server-log.ts';
import {
  type EndReason,
  endReasons,
  isStranger,
  mostConnections,
  mostStreams,
  openStreams,
  type Refusal,
  type Served,
} from './streams.ts';
import { type TypeName, typeNames } from './types.ts';
import { type Client, openWaypoint, type Place, type WaypointStatus } from './waypoint.ts';

export interface WaypointServerOptions extends AttachOptions {
  readonly view: NodeView;
  readonly log: WaypointServerLog;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How long changes are gathered before conditions of routes are looked at, in milliseconds. */
  readonly gatherMs?: number;
  /** Smaller ones for tests. */
  readonly limits?: {
    readonly resources?: number;
    readonly unread?: number;
    readonly connections?: number;
    readonly names?: number;
    readonly sliceMs?: number;
  };
}

export interface Totals {
  readonly responses: number;
  readonly acks: number;
  readonly nacks: number;
}

export interface WaypointServer {
  /** HOST:PORT, where it listens then. Without credentials in plain text. */
  listen(address: string, credentials?: ServerCredentials): Promise<string>;
  /** Who asks before the first model waits for it. */
  update(model: Model): void;
  status(): readonly WaypointStatus[];
  /** Keys of routes, and of policies -> what is said to the author. */
  routes(): ReadonlyMap<string, readonly ParentStatus[]>;
  /** Of routes and policies that have no effect, or not all of it: reason -> how many, as they were last told in the log. */
  conditions(): Readonly<Record<string, number>>;
  /** Since it was opened. */
  totals(): {
    readonly streams: number;
    readonly ended: Readonly<Record<EndReason, number>>;
    readonly types: Readonly<Record<TypeName, Totals>>;
  };
  close(): void;
}

/** Metadata of a node: where its listener is to be, as ADDRESS:PORT. */
export const listenKey = 'kmesh.net/listen';
/** Name of the node that it runs on: endpoints of the same node come first where a service says so. */
export const nodeKey = 'kmesh.net/node';

/** Waypoints without a proxy that are kept up to date, and those whose last good versions are remembered. */
const mostIdle = 16;
/** Resources of all places together, some kilobytes each; so many places there may be whatever they have. */
const mostResources = 100_000;
const fewPlaces = 16;
const mostRemembered = 64;
/** Bytes of names that all proxies ask for; beyond them each may have a share as small as if as many were here as there may be. */
const mostNames = 512 << 20;
const namePattern = /^[a-z0-9.-]{1,253}\/[a-z0-9.-]{1,253}$/;
/** Milliseconds of making a waypoint before what is made is sent, and everything else has its turn. */
const usualSliceMs = 5;
/** Characters of what a proxy says of itself that are kept. */
const longestId = 256;

type Waypoint = ReturnType<typeof openWaypoint>;

export function openWaypointServer(options: WaypointServerOptions): WaypointServer {
  const { log, view, now = () => 0, limits = {} } = options;
  /** By name and place; those without a proxy in the order in which they were left. */
  const waypoints = new Map<string, Waypoint>();
  const qualities = new Map<string, Quality>();
  /** Waypoints that are being made for the first time. */
  const making = new Map<Waypoint, Steps<void>>();
  let model: Model | undefined;
  const watch = watchConditions(log, options.gatherMs);
  let attach = openAttacher(options);
  let attachments: Attachments | undefined;
  let begin = (): void => {};
  const ready = new Promise<void>((resolve) => {
    begin = resolve;
  });
  let streams = 0;
  let nameBytes = 0;
  const ended = Object.fromEntries(endReasons.map((reason) => [reason, 0])) as Record<EndReason, number>;
  const before = Object.fromEntries(typeNames.map((type) => [type, { responses: 0, acks: 0, nacks: 0 }])) as Record<
    TypeName,
    { responses: number; acks: number; nacks: number }
  >;

  /** A fault of ours ends nobody: proxies keep what they have, and the next model is taken up from the start. */
  const guarded = (waypoint: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      attach = openAttacher(options);
      attachments = undefined;
      log.warn(
        { waypoint, reason: String(error) },
        'what proxies are told could not be made: they keep what they have',
      );
    }
  };
  /** Of the model that there is: what is being made is made to its end before there is another one. */
  const attached = (): Attachments => {
    attachments ??= attach(model as Model);
    return attachments;
  };
  const refresh = (waypoint: Waypoint): void =>
    guarded(waypoint.place.name, () => {
      if (model) finish(waypoint.refreshing(model, attached));
    });
  /** The first time a proxy asks for it: who gets clusters takes a while to digest them, and the rest is made meanwhile. */
  const make = (waypoint: Waypoint): void =>
    guarded(waypoint.place.name, () => {
      if (!model) return;
      making.set(waypoint, waypoint.refreshing(model, attached));
      goOn(waypoint);
    });
  const { sliceMs = usualSliceMs } = limits;
  const goOn = (waypoint: Waypoint): void => {
    const steps = making.get(waypoint);
    // Nobody asks for it any more.
    if (waypoints.get(keyOf(waypoint.place)) !== waypoint) making.delete(waypoint);
    else if (steps && !step(waypoint, steps, performance.now() + sliceMs)) setImmediate(() => goOn(waypoint));
  };
  /** True when it is made, or cannot be. */
  const step = (waypoint: Waypoint, steps: Steps<void>, until: number): boolean => {
    let isOver = true;
    guarded(waypoint.place.name, () => {
      let isDone = false;
      do isDone = steps.next().done === true;
      while (!isDone && performance.now() < until);
      isOver = isDone;
    });
    if (isOver) making.delete(waypoint);
    return isOver;
  };
  const complete = (): void => {
    for (const [waypoint, steps] of making) step(waypoint, steps, Number.POSITIVE_INFINITY);
  };
  /** Makes room for one place more: those without a proxy go. False: there is none. */
  const hasRoom = (): boolean => {
    const { resources: most = mostResources } = limits;
    let sum = 0;
    for (const { resources } of waypoints.values()) sum += resources;
    for (const [key, { size, resources }] of waypoints) {
      if (sum < most) return true;
      if (size === 0 && waypoints.delete(key)) sum -= resources;
    }
    return sum < most || waypoints.size < fewPlaces;
  };
  /** undefined: there are too many places. Who comes by a socket of ours is no stranger. */
  const waypointOf = (place: Place, peer: string): Waypoint | undefined => {
    const key = keyOf(place);
    const known = waypoints.get(key);
    if (known) return known;
    // What there is of them counts.
    complete();
    if (!hasRoom() && isStranger(peer)) return undefined;
    const made = openWaypoint(place, view, qualities.get(key));
    waypoints.set(key, made);
    make(made);
    return made;
  };
  /** What nobody asks for any more is kept for a while when it is a waypoint of the mesh. */
  const idle = (waypoint: Waypoint): void => {
    const key = keyOf(waypoint.place);
    waypoints.delete(key);
    qualities.delete(key);
    if (!model?.gateways.has(waypoint.place.name)) return;
    waypoints.set(key, waypoint);
    qualities.set(key, waypoint.quality);
    const others = [...waypoints].filter(([, { size }]) => size === 0);
    for (const [old] of others.slice(0, Math.max(0, others.length - mostIdle))) waypoints.delete(old);
    for (const old of qualities.keys()) if (qualities.size > mostRemembered) qualities.delete(old);
  };

  const open = (request: Request, way: Way, peer: string, send: (response: Response) => void): Served | Refusal => {
    const { cluster, metadata, locality } = request.node;
    const listen = metadata[listenKey] ?? '';
    if (!namePattern.test(cluster)) return misnamed('node.cluster must name the waypoint: NAMESPACE/NAME');
    if (listen !== '' && (listen.length > longestId || !parseListenAddress(listen))) {
      return misnamed(`node.metadata["${listenKey}"] must be ADDRESS:PORT`);
    }
    const place = { name: cluster, listen, node: (metadata[nodeKey] ?? '').slice(0, longestId), locality };
    const waypoint = waypointOf(place, peer);
    if (!waypoint) {
      const details = `what ${waypoints.size} places of proxies are told is as much as there may be`;
      return { reason: 'too_many', details };
    }
    if (waypoint.size === 0 && !waypoint.made && !making.has(waypoint)) {
      waypoints.delete(keyOf(place));
      return { reason: 'failed', details: 'its resources could not be made' };
    }
    const about = { id: request.node.id.slice(0, longestId), peer: peerText(peer), way, since: now() };
    const client: Client = waypoint.join(about, send);
    streams++;
    const facts = { waypoint: cluster, client: client.id, ...(about.peer && { peer: about.peer }) };
    log.info(facts, 'a proxy is connected');
    return {
      take({ error, ...rest }) {
        // What a proxy has from before may be in use: what takes its place is told as a whole.
        if (way === 'world' || rest.held.size > 0) complete();
        if (error !== undefined && rest.nonce !== '') {
          const refused = { ...facts, type: rest.typeUrl.slice(0, longestId), reason: error.slice(0, 2000) };
          if (client.session.isTrial(rest.typeUrl, rest.nonce)) log.info(refused, 'a proxy refuses a part of it');
          else log.warn(refused, 'a proxy refuses what it was told');
        }
        nameBytes -= client.session.nameBytes();
        const fault = client.session.take({ ...rest, error });
        nameBytes += client.session.nameBytes();
        const { names: most = mostNames } = limits;
        if (fault !== undefined || nameBytes <= most || client.session.nameBytes() <= most / mostStreams) return fault;
        return isStranger(peer) ? 'all proxies together ask for too many names' : undefined;
      },
      leave() {
        nameBytes -= client.session.nameBytes();
        for (const { type, responses, acks, nacks } of client.session.types()) {
          before[type].responses += responses;
          before[type].acks += acks;
          before[type].nacks += nacks;
        }
        waypoint.leave(client);
        if (waypoint.size === 0) idle(waypoint);
        log.info(facts, 'a proxy is gone');
      },
    };
  };

  const routes = (): ReadonlyMap<string, readonly ParentStatus[]> => {
    if (!model) return new Map();
    return new Map([...attached().status, ...policyStatuses(model, attached())]);
  };

  const turnAway =
    (what: string) =>
    (reason: EndReason, peer: string, details: string): void => {
      ended[reason]++;
      // Whoever is turned away again and again must not fill the log.
      if (ended[reason] < 100 || ended[reason] % 1000 === 0) {
        log.warn({ peer: peerText(peer), reason, count: ended[reason], details }, `a ${what} is turned away`);
      }
    };
  const doors = openDoors(limits.connections ?? mostConnections, turnAway('connection'));
  const server = openStreams({
    ready,
    mostUnread: limits.unread,
    open,
    begun: doors.stream,
    ended: turnAway('stream'),
  });

  return {
    async listen(address, credentials = ServerCredentials.createInsecure()) {
      const at = parseListenAddress(address);
      if (at) {
        const { injectConnection } = server.createConnectionInjector(credentials);
        return doors.listen(at.host ?? '::', at.port, injectConnection);
      }
      return new Promise((resolve, reject) => {
        server.bindAsync(address, credentials, (error) => (error ? reject(error) : resolve(address)));
      });
    },
    update(next) {
      if (next === model) return;
      complete();
      model = next;
      // Always, so that they can follow by what changed; before there are any, when somebody asks for them.
      guarded('', () => {
        attachments &&= attach(next);
      });
      for (const waypoint of waypoints.values()) refresh(waypoint);
      watch.look(routes);
      begin();
    },
    status: () => [...waypoints.values()].map((waypoint) => waypoint.status()),
    routes,
    conditions: watch.counts,
    totals() {
      const types = structuredClone(before);
      const live = [...waypoints.values()].flatMap((waypoint) => waypoint.status().proxies);
      for (const { type, responses, acks, nacks } of live.flatMap((proxy) => proxy.types)) {
        types[type].responses += responses;
        types[type].acks += acks;
        types[type].nacks += nacks;
      }
      return { streams, ended: { ...ended }, types };
    },
    close() {
      making.clear();
      watch.close();
      doors.close();
      server.forceShutdown();
    },
  };
}

const misnamed = (details: string): Refusal => ({ reason: 'misnamed', details });

const keyOf = ({ name, listen, node, locality: { region, zone, subzone } }: Place): string =>
  [name, listen, node, region, zone, subzone].join('\n');

function peerText(peer: string): string {
  return isStranger(peer) ? peer : '';
}
