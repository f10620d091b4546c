// SPDX-License-Identifier: Apache-2.0
// Waypoints of a cluster, and the state that their controllers report.
import type { Env } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { gatewayClasses, gateways, type KubeObject } from '../../kube/object.ts';
import { type ClusterOptions, type Open, openCluster, scopeOf } from './open.ts';
import { isWaypoint, keyOf, type Programmed, programmed, readWaypoint, type Waypoint, whyNot } from './read-gateway.ts';
import { waitForWaypoints } from './wait.ts';

export interface ListOptions extends ClusterOptions {
  readonly allNamespaces: boolean;
}

export interface StatusOptions extends ListOptions {
  /** Empty: all. */
  readonly names: readonly string[];
  readonly wait: boolean;
  /** Milliseconds. */
  readonly timeout: number;
}

export interface Listed extends Waypoint {
  readonly programmed: Programmed;
  /** Why it is not programmed. */
  readonly why?: string;
}

export interface ListResult {
  readonly allNamespaces: boolean;
  readonly waypoints: readonly Listed[];
}

export interface StatusResult extends ListResult {
  /** Names that were asked for, and are no waypoints. */
  readonly missing: readonly string[];
}

export async function listWaypoints(env: Env, options: ListOptions, open: Open = openCluster): Promise<ListResult> {
  const cluster = await open(env, options);
  return { allNamespaces: options.allNamespaces, waypoints: await read(cluster, options) };
}

/** Says what is known now; with `wait` not before all of them are programmed. */
export async function showWaypoints(env: Env, options: StatusOptions, open: Open = openCluster): Promise<StatusResult> {
  const { names, allNamespaces, wait, timeout } = options;
  if (names.length > 0 && allNamespaces) {
    throw new KmeshError('KM_USAGE', 'names of waypoints and --all-namespaces exclude each other');
  }
  const cluster = await open(env, options);
  const chosen = async (): Promise<readonly Listed[]> => {
    const found = await read(cluster, options);
    return names.length === 0 ? found : found.filter(({ name }) => names.includes(name));
  };
  let waypoints = await chosen();
  const missing = names.filter((name) => waypoints.every((waypoint) => waypoint.name !== name));
  if (wait && missing.length === 0) {
    await waitForWaypoints({ env, cluster, timeoutMs: timeout }, waypoints);
    waypoints = await chosen();
  }
  return { allNamespaces, waypoints, missing };
}

async function read(cluster: Cluster, options: ListOptions): Promise<readonly Listed[]> {
  const found = (await cluster.list(gateways, scopeOf(cluster, options))).filter(isWaypoint);
  const classes = found.length === 0 ? new Map() : await readClasses(cluster);
  return found
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    .map((gateway) => {
      const waypoint = readWaypoint(gateway, classes);
      const state = programmed(waypoint);
      return { ...waypoint, programmed: state, ...(state === 'yes' ? {} : { why: whyNot(waypoint) }) };
    });
}

/** Who may not read classes gets the default of what they would say. */
async function readClasses(cluster: Cluster): Promise<ReadonlyMap<string, KubeObject>> {
  try {
    return new Map((await cluster.list(gatewayClasses, {})).map((one) => [one.metadata.name, one]));
  } catch (error) {
    if (error instanceof KmeshError) return new Map();
    throw error;
  }
}
