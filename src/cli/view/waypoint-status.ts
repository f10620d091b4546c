// SPDX-License-Identifier: Apache-2.0
// What is known of waypoints: by the controllers of a cluster, and by the control planes of this node.
import type { Listed } from '../../tasks/waypoint/list.ts';
import type { NodeStatus, StatusAnswer } from '../../tasks/waypoint/status.ts';
import type { Block, Cell } from '../spec.ts';

const statusTones: Readonly<Record<string, 'good' | 'bad'>> = { True: 'good', False: 'bad' };

/** The namespace is a column where it tells something. */
const named = ({ namespace, name }: Listed, all: boolean): Cell[] => (all ? [namespace, name] : [name]);

function conditionRows(waypoint: Listed, all: boolean): Cell[][] {
  const base = named(waypoint, all);
  if (waypoint.conditions.length === 0) {
    return [[...base, { text: 'Unknown', tone: 'warn' }, undefined, undefined, waypoint.why]];
  }
  return waypoint.conditions.map(({ type, status, reason, message, stale }) => [
    ...base,
    { text: status, tone: statusTones[status] ?? 'warn' },
    type,
    reason,
    stale ? `(of an earlier version) ${message}` : message,
  ]);
}

const time = (ms: number): string => new Date(ms).toISOString();
const tls = { none: 'without TLS', server: 'with TLS', mutual: 'with TLS, both ways' } as const;
const types = ['clusters', 'endpoints', 'listeners', 'routes'] as const;

type Waypoint = NodeStatus['waypoints'][number];

/** With what tells it from others of the same name. */
function waypointText({ waypoint, listen, node, locality }: Waypoint): string {
  const more = [listen, node, locality].filter((part) => part !== '');
  return more.length === 0 ? waypoint : `${waypoint} (${more.join(', ')})`;
}

function waypointRow(waypoint: Waypoint): Cell[] {
  const { proxies, resources, refused } = waypoint;
  return [
    waypointText(waypoint),
    proxies.length === 0 ? { text: 'none', tone: 'warn' } : proxies.length,
    ...types.map((type) => resources?.[type]),
    refused.length === 0 ? 0 : { text: refused.length, tone: 'bad' },
  ];
}

function proxyRows({ waypoint, proxies }: Waypoint): Cell[][] {
  return proxies.flatMap(({ id, peer, way, since, types: told }) => {
    const base = [waypoint, id, peer === '' ? 'unix socket' : peer, time(since), way === 'delta' ? 'delta' : 'sotw'];
    if (told.length === 0) return [[...base, ...Array.from({ length: 6 }, () => undefined)]];
    return told.map(({ type, version, taken, responses, nacks, awaited }): Cell[] => [
      ...base,
      type,
      version === '' ? undefined : version,
      taken,
      responses,
      nacks === 0 ? 0 : { text: nacks, tone: 'warn' },
      awaited,
    ]);
  });
}

function refusedRows({ waypoint, refused }: Waypoint): Cell[][] {
  return refused.flatMap(({ type, name, version, reason, stands, parts, proxies }) =>
    (parts.length > 0 ? parts : [{ part: undefined, reason }]).map((one): Cell[] => [
      waypoint,
      type,
      name,
      one.part,
      version,
      stands === '' ? { text: 'nothing', tone: 'bad' } : stands,
      proxies.length === 0 ? '(gone)' : proxies.join(' '),
      { text: one.reason, tone: 'bad' },
    ]),
  );
}

const isPolicy = (route: string): boolean => route.startsWith('AuthorizationPolicy ');

function routeRows({ route, parents }: NodeStatus['routes'][number]): Cell[][] {
  return parents.map(({ parent, conditions }) => {
    const cell = (type: string): Cell => {
      const found = conditions.find((one) => one.type === type);
      if (!found) return undefined;
      return found.status === 'True' ? { text: 'True', tone: 'good' } : { text: `False: ${found.reason}`, tone: 'bad' };
    };
    const partial = conditions.find(({ type, status }) => type === 'PartiallyInvalid' && status === 'True');
    const why = [...new Set(conditions.map(({ message }) => message))].filter((text) => text !== '').join('; ');
    if (isPolicy(route)) return [route, parent, cell('Accepted'), why || undefined];
    return [
      route,
      parent,
      cell('Accepted'),
      cell('ResolvedRefs'),
      partial ? { text: `True: ${partial.reason}`, tone: 'warn' } : undefined,
      why || undefined,
    ];
  });
}

function* nodeBlocks(node: NodeStatus): Generator<Block> {
  for (const why of node.notReady) {
    yield { kind: 'line', text: `${node.program} is not ready: ${why}`, tone: 'warn' };
  }
  const { program, address, socket, waypoints, routes } = node;
  yield {
    kind: 'table',
    title: `Told by ${program} at ${address} ${tls[node.tls]}${socket === undefined ? '' : `, and at ${socket}`}`,
    head: ['WAYPOINT', 'PROXIES', 'CLUSTERS', 'ENDPOINTS', 'LISTENERS', 'ROUTES', 'REFUSED'],
    rows: waypoints.map(waypointRow),
    none: 'No waypoints found.',
  };
  const proxies = waypoints.flatMap(proxyRows);
  if (proxies.length > 0) {
    yield {
      kind: 'table',
      title: 'Proxies',
      head: [
        ...['WAYPOINT', 'PROXY', 'ADDRESS', 'SINCE', 'PROTOCOL', 'TYPE', 'VERSION'],
        ...['IN USE', 'ANSWERS', 'REFUSALS', 'AWAITED'],
      ],
      rows: proxies,
    };
  }
  const refused = waypoints.flatMap(refusedRows);
  if (refused.length > 0) {
    yield {
      kind: 'table',
      title: 'Refused by proxies',
      head: ['WAYPOINT', 'TYPE', 'NAME', 'PART', 'VERSION', 'IN ITS PLACE', 'PROXIES', 'REASON'],
      rows: refused,
    };
  }
  const written = routes.filter(({ route }) => !isPolicy(route));
  if (written.length > 0) {
    yield {
      kind: 'table',
      title: 'Routes',
      head: ['ROUTE', 'PARENT', 'ACCEPTED', 'RESOLVED REFS', 'PARTIALLY INVALID', 'WHY'],
      rows: written.flatMap(routeRows),
    };
  }
  const policies = routes.filter(({ route }) => isPolicy(route));
  if (policies.length === 0) return;
  yield {
    kind: 'table',
    title: 'Policies',
    head: ['POLICY', 'TARGET', 'ACCEPTED', 'WHY'],
    rows: policies.flatMap(routeRows),
  };
}

export function* viewWaypointStatus(answer: StatusAnswer): Generator<Block> {
  const { allNamespaces: all, cluster, waypoints, nodes, faults } = answer;
  for (const { code, message } of faults) {
    if (code !== 'KM_KUBE') yield { kind: 'line', text: `${code}: ${message}`, tone: 'warn' };
  }
  if (cluster) {
    yield {
      kind: 'table',
      ...(nodes.length > 0 && { title: 'Gateways of the cluster' }),
      head: [...(all ? ['NAMESPACE', 'NAME'] : ['NAME']), 'STATUS', 'TYPE', 'REASON', 'MESSAGE'],
      rows: waypoints.flatMap((waypoint) => conditionRows(waypoint, all)),
      none: 'No waypoints found.',
    };
  }
  for (const node of nodes) yield* nodeBlocks(node);
  // Who has no cluster here need not have one.
  for (const { code, message } of faults) if (code === 'KM_KUBE') yield { kind: 'line', text: message };
}
