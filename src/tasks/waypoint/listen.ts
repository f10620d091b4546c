// SPDX-License-Identifier: Apache-2.0
// Where the control plane of waypoints listens, in a process of its own and in the agent.
import { rmSync } from 'node:fs';
import { makePrivateSocket } from '../../admin/private-socket.ts';
import type { WaypointAdsStatus } from '../../admin/waypoint.ts';
import type { WaypointAds } from '../../agent/waypoint-ads.ts';
import { KmeshError, messageOf } from '../../errors.ts';
import type { Model, NodeView } from '../../mesh/model.ts';
import type { ListenAddress } from '../../net/socket-address.ts';
import { openWaypointServer, type WaypointServer } from '../../waypoint/server.ts';
import type { WaypointServerLog } from '../../waypoint/server-log.ts';
import { openTls, type Tls } from './tls.ts';
import type { TlsFiles } from './tls-files.ts';
import { waypointFacts, waypointItems } from './told.ts';

export interface Listening {
  readonly at: WaypointAdsStatus;
  reload(): void;
  close(): void;
}

/** Where, and with what. */
export interface ListenOptions {
  readonly where: ListenAddress;
  readonly tls: TlsFiles;
  /** What the flags of those begin with. */
  readonly flag: string;
  /** Path of a socket for proxies of this machine; absent: none. */
  readonly socket?: string;
  readonly log: WaypointServerLog;
}

/** @throws KmeshError KM_LISTEN; KM_IO when the socket cannot be made; what the files of certificates throw. */
export async function listenFor(server: WaypointServer, options: ListenOptions): Promise<Listening> {
  const { where, log, socket } = options;
  const tls = openTls(options.tls, options.flag, log);
  const host = (where.host ?? '::').replace(/^\[|\]$/g, '');
  const text = host.includes(':') ? `[${host}]:${where.port}` : `${host}:${where.port}`;
  try {
    const address = await server.listen(text, tls?.credentials);
    if (socket !== undefined) await makePrivateSocket(socket, (first) => server.listen(`unix:${first}`));
    if (!tls && !isLoopback(host)) {
      log.warn(
        { address },
        `proxies are told in plain text beyond this machine: ${options.flag}tls-cert prevents that`,
      );
    }
    return {
      at: { address, tls: tls?.kind ?? 'none', ...(socket !== undefined && { socket }) },
      reload: () => tls?.reload(),
      close: () => end(tls, socket),
    };
  } catch (cause) {
    end(tls, undefined);
    if (cause instanceof KmeshError) throw cause;
    const said = messageOf(cause);
    const reason = said.includes('EADDRINUSE') ? 'something else listens there' : said;
    const what = `${where.host ?? ''}:${where.port}`;
    throw new KmeshError('KM_LISTEN', `cannot listen on ${what}: ${reason}`, {
      hint: 'choose another address; port 0 takes one that is free',
      cause,
    });
  }
}

function end(tls: Tls | undefined, socket: string | undefined): void {
  tls?.close();
  if (socket !== undefined) rmSync(socket, { force: true });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(?:::ffff:)?127\./.test(host);
}

/** Changes that come at once are told at once. */
const gatherMs = 10;

export interface AdsOptions extends ListenOptions {
  readonly view: NodeView;
  readonly now: () => number;
  readonly requireGrants: boolean;
}

/** The one inside the agent, told of each model. */
export async function openWaypointAds(options: AdsOptions): Promise<WaypointAds> {
  const { log, view, now, requireGrants } = options;
  const server = openWaypointServer({ view, log, now, requireGrants });
  const listening = await listenFor(server, options);
  log.info({ ...listening.at }, 'waypoints are served');
  let next: Model | undefined;
  let timer: NodeJS.Timeout | undefined;
  return {
    at: listening.at,
    update(model) {
      next = model;
      timer ??= setTimeout(() => {
        timer = undefined;
        if (next) server.update(next);
      }, gatherMs);
    },
    reload: listening.reload,
    items: () => waypointItems(server, next),
    facts: () => waypointFacts(server),
    conditions: server.conditions,
    close() {
      clearTimeout(timer);
      server.close();
      listening.close();
    },
  };
}
