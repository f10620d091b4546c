// SPDX-License-Identifier: Apache-2.0
// Deletes waypoints, each on its own: what fails for one is told beside what became of the others.
import type { Env } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { gateways, type KubeObject, namespaces, services } from '../../kube/object.ts';
import { type ClusterOptions, namespaceOf, type Open, openCluster } from './open.ts';
import { classOf, isWaypoint, readWaypoint } from './read-gateway.ts';
import * as words from './words.ts';

export interface DeleteOptions extends ClusterOptions {
  readonly names: readonly string[];
  readonly all: boolean;
  readonly revision?: string;
  readonly dryRun: boolean;
}

export interface Deletion {
  readonly namespace: string;
  readonly name: string;
  readonly state: 'deleted' | 'not found' | 'failed';
  /** Why it failed. */
  readonly reason?: string;
  /** What still asks for it: "namespace shop", "service shop/cart". */
  readonly usedBy: readonly string[];
}

export interface DeleteResult {
  readonly dryRun: boolean;
  readonly waypoints: readonly Deletion[];
}

export async function deleteWaypoints(
  env: Env,
  options: DeleteOptions,
  open: Open = openCluster,
): Promise<DeleteResult> {
  const { names, all, revision, dryRun } = options;
  const many = all || revision !== undefined;
  if (many && names.length > 0) {
    throw new KmeshError('KM_USAGE', `names of waypoints and ${all ? '--all' : '--revision'} exclude each other`);
  }
  if (!many && names.length === 0) {
    throw new KmeshError('KM_USAGE', 'which waypoint?', { hint: 'give names, --all, or --revision NAME' });
  }
  const cluster = await open(env, options);
  const namespace = namespaceOf(cluster, options);
  const found = many ? await matching(cluster, namespace, revision) : [];
  const wanted = many ? found.map(({ metadata }) => metadata.name) : [...new Set(names)];
  const users = await usersOf(cluster, namespace);
  const deleteOne = async (name: string): Promise<Deletion> => {
    const base = { namespace, name, usedBy: users.get(name) ?? [] };
    try {
      const gateway =
        found.find(({ metadata }) => metadata.name === name) ?? (await cluster.get(gateways, name, namespace));
      if (gateway === undefined) return { ...base, state: 'not found' };
      if (!isWaypoint(gateway)) {
        return { ...base, state: 'failed', reason: `a Gateway of class ${classOf(gateway)} is no waypoint` };
      }
      return { ...base, state: (await cluster.remove(gateways, gateway, { dryRun })) ? 'deleted' : 'not found' };
    } catch (error) {
      if (!(error instanceof KmeshError)) throw error;
      return { ...base, state: 'failed', reason: error.message };
    }
  };
  return { dryRun, waypoints: await Promise.all(wanted.map(deleteOne)) };
}

async function matching(
  cluster: Cluster,
  namespace: string,
  revision: string | undefined,
): Promise<readonly KubeObject[]> {
  const found = (await cluster.list(gateways, { namespace })).filter(isWaypoint);
  const chosen =
    revision === undefined ? found : found.filter((gateway) => readWaypoint(gateway).revision === revision);
  return chosen.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Waypoint of this namespace -> what is labelled to use it. It is only told: nothing fails when it cannot be read. */
async function usersOf(cluster: Cluster, namespace: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const users = new Map<string, string[]>();
  const note = (what: string, { metadata }: KubeObject): void => {
    const { [words.useWaypointLabel]: name, [words.useWaypointNamespaceLabel]: elsewhere = namespace } =
      metadata.labels ?? {};
    if (name !== undefined && elsewhere === namespace) users.set(name, [...(users.get(name) ?? []), what]);
  };
  const quietly = async (look: () => Promise<void>): Promise<void> => {
    try {
      await look();
    } catch (error) {
      if (!(error instanceof KmeshError)) throw error;
    }
  };
  await quietly(async () => {
    const home = await cluster.get(namespaces, namespace);
    if (home !== undefined) note(`namespace ${namespace}`, home);
  });
  await quietly(async () => {
    for (const service of await cluster.list(services, { namespace, labels: words.useWaypointLabel })) {
      note(`service ${namespace}/${service.metadata.name}`, service);
    }
  });
  return users;
}
