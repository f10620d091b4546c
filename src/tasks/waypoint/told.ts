// SPDX-License-Identifier: Apache-2.0
// What a control plane of waypoints says of itself: rows for people and counts for metrics.
import type { WaypointItem, WaypointRow } from '../../admin/waypoint.ts';
import type { WaypointFacts } from '../../agent/waypoint-ads.ts';
import type { Model } from '../../mesh/model.ts';
import type { ParentRef } from '../../mesh/route.ts';
import type { WaypointServer } from '../../waypoint/server.ts';

/** Waypoints of the mesh and those that proxies say they are, then routes; each by name. */
export function* waypointItems(server: WaypointServer, model: Model | undefined): Generator<WaypointItem> {
  const served = server.status().map((status): WaypointRow => ({ kind: 'waypoint', ...status }));
  const known = new Set(served.map(({ waypoint }) => waypoint));
  const idle = [...(model?.gateways.keys() ?? [])].filter((name) => !known.has(name)).map(nobody);
  yield* [...served, ...idle].sort(by(({ waypoint, listen, node }) => `${waypoint} ${listen} ${node}`));
  for (const [route, parents] of [...server.routes()].sort(by(([name]) => name))) {
    yield {
      kind: 'route',
      route,
      parents: parents.map(({ parent, conditions }) => ({
        parent: parentText(parent),
        conditions: conditions.map(({ status, ...why }) => ({ ...why, status: status ? 'True' : 'False' })),
      })),
    };
  }
}

const nobody = (waypoint: string): WaypointRow => ({
  ...{ kind: 'waypoint', waypoint, listen: '', node: '', locality: '', proxies: [], refused: [] },
});

const by =
  <T>(key: (one: T) => string) =>
  (a: T, b: T): number =>
    key(a) < key(b) ? -1 : 1;

function parentText({ kind, namespace, name, port, section }: ParentRef): string {
  const place = namespace === '' ? name : `${namespace}/${name}`;
  return `${kind} ${place}${port === undefined ? '' : `:${port}`}${section === undefined ? '' : ` ${section}`}`;
}

export function waypointFacts(server: WaypointServer): WaypointFacts {
  const { streams, ended, types } = server.totals();
  const rows = server.status();
  const proxies = rows.flatMap((row) => row.proxies);
  const refused = rows.flatMap((row) => row.refused);
  return {
    proxies: proxies.length,
    conditions: server.conditions(),
    streams,
    ended,
    types: Object.entries(types).map(([type, counts]) => ({
      ...{ type, ...counts },
      refused: refused.filter((one) => one.type === type).length,
      awaited: proxies.flatMap((proxy) => proxy.types).reduce((sum, t) => sum + (t.type === type ? t.awaited : 0), 0),
    })),
  };
}
