// SPDX-License-Identifier: Apache-2.0
// Where the control plane of waypoints listens, in a process of its own and in the agent.
import type { WaypointAds } from '../../agent/waypoint-ads.ts';
import { KmeshError } from '../../errors.ts';
import type { Model, NodeView } from '../../mesh/model.ts';
import type { ListenAddress } from '../../net/socket-address.ts';
import { openWaypointServer, type WaypointServer, type WaypointServerLog } from '../../waypoint/server.ts';

export function unusable(where: ListenAddress, error: unknown): KmeshError {
  const text = error instanceof Error ? error.message : String(error);
  return new KmeshError('KM_USAGE', `cannot listen on ${where.host ?? ''}:${where.port}: ${text}`);
}

/** HOST:PORT, where it listens then. */
export async function listenFor(server: WaypointServer, where: ListenAddress): Promise<string> {
  const host = where.host ?? '[::]';
  try {
    return await server.listen(`${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${where.port}`);
  } catch (error) {
    throw unusable(where, error);
  }
}

/** Changes that come at once are told at once. */
const gatherMs = 10;

/** The one inside the agent, told of each model. */
export async function openWaypointAds(
  where: ListenAddress,
  log: WaypointServerLog,
  view: NodeView,
): Promise<WaypointAds> {
  const server = openWaypointServer({ view, log });
  const address = await listenFor(server, where);
  log.info({ address }, 'waypoints are served');
  let next: Model | undefined;
  let timer: NodeJS.Timeout | undefined;
  return {
    at: { address, tls: 'none' },
    update(model: Model): void {
      next = model;
      timer ??= setTimeout(() => {
        timer = undefined;
        if (next) server.update(next);
      }, gatherMs);
    },
    close(): void {
      clearTimeout(timer);
      server.close();
    },
  };
}
