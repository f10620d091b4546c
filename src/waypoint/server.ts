// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints over gRPC: each Envoy is told of the waypoint that it says it is.
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { type Attachments, type AttachOptions, openAttacher } from '../compile/l7/attach.ts';
import { openWaypointCompiler } from '../compile/l7/compile.ts';
import { waypointScope } from '../compile/l7/scope.ts';
import type { ParentStatus } from '../compile/l7/settle.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import { parseListenAddress } from '../net/socket-address.ts';
import { decodeRequest, encodeResponse, type Request, type Way } from './messages.ts';
import { openSession, type Session } from './session.ts';
import { emptySnapshot, openEncoder, openQuality, type Refused, type Snapshot } from './snapshot.ts';

export interface WaypointServerLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

export interface WaypointServerOptions extends AttachOptions {
  readonly view: NodeView;
  readonly log: WaypointServerLog;
}

export interface WaypointStatus {
  /** "namespace/name" */
  readonly waypoint: string;
  /** Envoys by their id, and answers that are awaited of each. */
  readonly clients: readonly { readonly id: string; readonly way: Way; readonly awaited: number }[];
  readonly resources: Readonly<Record<keyof Snapshot, number>>;
  readonly refused: readonly Refused[];
}

export interface WaypointServer {
  /** HOST:PORT, where it listens then. */
  listen(address: string): Promise<string>;
  update(model: Model): void;
  status(): readonly WaypointStatus[];
  /** Route key -> what is said to its author. */
  routes(): ReadonlyMap<string, readonly ParentStatus[]>;
  close(): void;
}

interface Client {
  readonly id: string;
  readonly way: Way;
  readonly session: Session;
}

interface Waypoint {
  readonly name: string;
  readonly clients: Set<Client>;
  refresh(): void;
  status(): WaypointStatus;
}

/** Metadata of a node: where its listener is to be, as ADDRESS:PORT. */
export const listenKey = 'kmesh.net/listen';

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService/';
const methods = { delta: 'DeltaAggregatedResources', world: 'StreamAggregatedResources' } as const;

export function openWaypointServer(options: WaypointServerOptions): WaypointServer {
  const { log, view } = options;
  const waypoints = new Map<string, Waypoint>();
  let model: Model | undefined;
  const attach = openAttacher(options);
  let attachments: Attachments | undefined;

  const open = (name: string, listen: string): Waypoint => {
    const compiler = openWaypointCompiler(view);
    const encode = openEncoder();
    const quality = openQuality();
    const clients = new Set<Client>();
    const [namespace = '', gateway = ''] = name.split('/');
    const at = parseListenAddress(listen);
    let snapshot = emptySnapshot;
    const waypoint: Waypoint = {
      name,
      clients,
      refresh() {
        if (!model) return;
        attachments ??= attach(model);
        const where = at ? { address: at.host ?? '::', port: at.port } : {};
        const scope = waypointScope(model, { namespace, name: gateway }, where);
        snapshot = encode(compiler.compile(model, attachments, scope));
        for (const { session } of clients) session.update(quality.usable(snapshot));
      },
      status: () => ({
        waypoint: name,
        clients: [...clients].map(({ id, way, session }) => ({ id, way, awaited: session.awaited })),
        resources: {
          clusters: snapshot.clusters.size,
          endpoints: snapshot.endpoints.size,
          listeners: snapshot.listeners.size,
          routes: snapshot.routes.size,
        },
        refused: quality.refused(snapshot),
      }),
    };
    openSessions.set(waypoint, (way, send) => {
      const session = openSession({ way, quality, send });
      session.update(quality.usable(snapshot));
      return session;
    });
    return waypoint;
  };
  const openSessions = new WeakMap<Waypoint, (way: Way, send: Parameters<typeof openSession>[0]['send']) => Session>();

  const waypointOf = ({ node }: Request): Waypoint => {
    const listen = node.metadata[listenKey] ?? '';
    const key = `${node.cluster} ${listen}`;
    const known = waypoints.get(key);
    if (known) return known;
    const made = open(node.cluster, listen);
    waypoints.set(key, made);
    made.refresh();
    return made;
  };

  const serve = (way: Way) => (call: ServerDuplexStream<Buffer, Buffer>) => {
    let client: Client | undefined;
    let waypoint: Waypoint | undefined;
    const leave = () => {
      if (client) waypoint?.clients.delete(client);
    };
    call.on('data', (bytes: Buffer) => {
      let request: Request;
      try {
        request = decodeRequest(bytes, way);
      } catch (error) {
        call.emit('error', { code: status.INVALID_ARGUMENT, details: `no request: ${String(error)}` });
        return;
      }
      if (!client) {
        if (!/^[^/]+\/[^/]+$/.test(request.node.cluster)) {
          call.emit('error', {
            code: status.INVALID_ARGUMENT,
            details: 'node.cluster must name the waypoint: NAMESPACE/NAME',
          });
          return;
        }
        waypoint = waypointOf(request);
        const opened = openSessions.get(waypoint)?.(way, (response) =>
          call.write(Buffer.from(encodeResponse(response, way))),
        );
        client = { id: request.node.id, way, session: opened as Session };
        waypoint.clients.add(client);
        log.info({ waypoint: waypoint.name, client: client.id }, 'a proxy is connected');
      }
      if (request.error !== undefined && request.nonce !== '') {
        log.warn(
          { waypoint: waypoint?.name, client: client.id, type: request.typeUrl, reason: request.error },
          'a proxy refuses what it was told',
        );
      }
      client.session.take(request);
    });
    call.on('end', () => {
      leave();
      call.end();
    });
    call.on('cancelled', leave);
    call.on('error', leave);
  };

  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
  const bytes = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value };
  const register = (way: Way) =>
    server.register(service + methods[way], serve(way) as never, bytes.serialize, bytes.deserialize, 'bidi');
  register('delta');
  register('world');

  return {
    listen(address) {
      return new Promise((resolve, reject) => {
        server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
          if (error) reject(error);
          else resolve(address.replace(/:\d+$/, `:${port}`));
        });
      });
    },
    update(next) {
      if (next === model) return;
      model = next;
      // Made when somebody asks for it, and from then on with each change: what is old holds on to everything since.
      attachments &&= attach(next);
      for (const waypoint of waypoints.values()) waypoint.refresh();
    },
    status: () => [...waypoints.values()].map((waypoint) => waypoint.status()),
    routes() {
      if (!model) return new Map();
      attachments ??= attach(model);
      return attachments.status;
    },
    close: () => server.forceShutdown(),
  };
}
