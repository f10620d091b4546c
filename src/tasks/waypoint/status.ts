// SPDX-License-Identifier: Apache-2.0
// Waypoints as the controllers of a cluster see them, and as the control planes on this node do.
import { adminClient, isNobody } from '../../admin/client.ts';
import type { ErrorBody } from '../../admin/types.ts';
import type { RouteRow, WaypointAdsStatus, WaypointItem, WaypointRow } from '../../admin/waypoint.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import {
  type StatusResult as ClusterStatus,
  type StatusOptions as ClusterStatusOptions,
  showWaypoints,
} from './list.ts';
import { type Open, openCluster } from './open.ts';

export interface StatusOptions extends ClusterStatusOptions {
  readonly place: Place;
  /** Absent: both, as far as they are there. */
  readonly from?: 'cluster' | 'node';
}

/** What a control plane on this node knows. */
export interface NodeStatus extends WaypointAdsStatus {
  readonly program: 'agent' | 'waypoint serve';
  readonly waypoints: readonly WaypointRow[];
  readonly routes: readonly RouteRow[];
  /** Why it is not: documents that were refused are not among the routes, or older versions of them are. */
  readonly notReady: readonly string[];
}

export interface StatusAnswer extends ClusterStatus {
  /** Absent: no cluster was asked. */
  readonly cluster?: true;
  readonly nodes: readonly NodeStatus[];
  /** What was not asked, or did not answer, beside what did. */
  readonly faults: readonly ErrorBody[];
}

/** @throws KmeshError what keeps it from being answered at all. */
export async function showWaypointStatus(
  env: Env,
  options: StatusOptions,
  open: Open = openCluster,
): Promise<StatusAnswer> {
  const { from, names, allNamespaces, namespace } = options;
  const asksCluster = options.wait || options.kubeconfig !== undefined || options.context !== undefined;
  if (from === 'node' && asksCluster) {
    throw new KmeshError('KM_USAGE', '--from node excludes --wait, --kubeconfig and --context');
  }
  if (allNamespaces && namespace !== undefined) {
    throw new KmeshError('KM_USAGE', '--namespace and --all-namespaces exclude each other');
  }
  if (names.length > 0 && allNamespaces) {
    throw new KmeshError('KM_USAGE', 'names of waypoints and --all-namespaces exclude each other');
  }
  const faults: KmeshError[] = [];
  const nodes = from === 'cluster' ? [] : await askNode(options.place, faults);
  if (from === 'node' && nodes.length === 0) throw faults[0] ?? nobody(options.place);
  const mine = nodes.map((node) => only(node, options));
  const said = from === 'node' ? undefined : await askCluster();
  const here = new Set(
    mine.flatMap(({ waypoints }) => waypoints.flatMap(({ waypoint }) => [waypoint, nameOf(waypoint)])),
  );
  return {
    allNamespaces,
    waypoints: said?.waypoints ?? [],
    missing: (said?.missing ?? names).filter((name) => !here.has(name)),
    ...(said && { cluster: true }),
    nodes: mine,
    faults: faults.map(({ code, message, hint }) => ({ code, message, ...(hint !== undefined && { hint }) })),
  };

  async function askCluster(): Promise<ClusterStatus | undefined> {
    try {
      return await showWaypoints(env, options, open);
    } catch (fault) {
      // Who has no cluster here need not have one.
      if (asksCluster || from === 'cluster' || !(fault instanceof KmeshError)) throw fault;
      if (fault.code !== 'KM_KUBE') throw fault;
      if (nodes.length === 0) {
        const { message, hint = '' } = faults[0] ?? nobody(options.place);
        throw new KmeshError('KM_KUBE', `${fault.message}, and ${message}`, {
          cause: fault,
          hint: `give --kubeconfig FILE or set KUBECONFIG; for this node: ${hint}`,
        });
      }
      faults.push(fault);
      return undefined;
    }
  }
}

const nameOf = (waypoint: string): string => waypoint.slice(waypoint.indexOf('/') + 1);
const namespaceIn = (text: string): string => /^(?:\S+ )?([^/]*)\//.exec(text)?.[1] ?? '';

/** What is asked for of it. Routes belong to services, and are left out where waypoints are named. */
function only(node: NodeStatus, { names, namespace }: StatusOptions): NodeStatus {
  const isAsked = ({ waypoint }: WaypointRow): boolean =>
    (names.length === 0 || names.includes(waypoint) || names.includes(nameOf(waypoint))) &&
    (namespace === undefined || namespaceIn(waypoint) === namespace);
  const isIn = ({ route, parents }: RouteRow): boolean =>
    namespace === undefined || [route, ...parents.map(({ parent }) => parent)].map(namespaceIn).includes(namespace);
  return {
    ...node,
    waypoints: node.waypoints.filter(isAsked),
    routes: names.length === 0 ? node.routes.filter(isIn) : [],
  };
}

const programs = [
  ['agent', 'agent'],
  ['waypoints', 'waypoint serve'],
] as const;

async function askNode({ runDir }: Place, faults: KmeshError[]): Promise<NodeStatus[]> {
  const nodes: NodeStatus[] = [];
  for (const [socket, program] of programs) {
    const client = adminClient(runDir, { socket });
    try {
      const at = await client.ads({});
      const items: WaypointItem[] = [];
      for await (const item of client.waypoints({})) items.push(item);
      nodes.push({
        ...{ program, ...at },
        waypoints: items.filter((item) => item.kind === 'waypoint'),
        routes: items.filter((item) => item.kind === 'route'),
        notReady: (await client.ready({})).notReady,
      });
    } catch (fault) {
      if (!(fault instanceof KmeshError)) throw fault;
      // An agent may be none of waypoints, and either may be missing.
      if (fault.code !== 'KM_NOT_FOUND' && !isNobody(fault)) faults.push(fault);
    }
  }
  return nodes;
}

function nobody({ runDir }: Place): KmeshError {
  return new KmeshError('KM_AGENT_UNREACHABLE', `no control plane of waypoints answers in "${runDir}"`, {
    hint: 'start one with "kmeshctl agent --waypoint-ads ADDRESS" or "kmeshctl waypoint serve", or give its --run-dir',
  });
}
