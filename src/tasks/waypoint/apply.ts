// SPDX-License-Identifier: Apache-2.0
// Makes a waypoint, or changes it, and lets its namespace use it.
import { isDeepStrictEqual } from 'node:util';
import type { Env } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { gatewayClasses, gateways, type KubeObject, namespaces } from '../../kube/object.ts';
import { type GatewayOptions, makeGateway } from './gateway.ts';
import { type ClusterOptions, namespaceOf, type Open, openCluster } from './open.ts';
import { programmed, readWaypoint } from './read-gateway.ts';
import { waitForWaypoints } from './wait.ts';
import * as words from './words.ts';

export interface ApplyOptions extends GatewayOptions, ClusterOptions {
  readonly enrollNamespace: boolean;
  /** Another waypoint of the namespace is replaced. */
  readonly overwrite: boolean;
  /** Fields of the Gateway that others own are taken over. */
  readonly forceConflicts: boolean;
  readonly wait: boolean;
  /** Milliseconds. */
  readonly timeout: number;
  readonly dryRun: boolean;
}

export interface ApplyResult {
  readonly dryRun: boolean;
  readonly namespace: string;
  readonly name: string;
  readonly waypoint: 'created' | 'changed' | 'unchanged';
  /** Absent: not waited for. */
  readonly ready?: boolean;
  /** Absent: not asked for. */
  readonly enrolled?: 'now' | 'before';
  readonly warnings: readonly string[];
}

/** Whose waypoint a namespace uses, as "name" or "namespace/name". */
function usedBy({ metadata }: KubeObject): string | undefined {
  const { [words.useWaypointLabel]: name, [words.useWaypointNamespaceLabel]: elsewhere = metadata.name } =
    metadata.labels ?? {};
  if (name === undefined || name === '') return undefined;
  return elsewhere === metadata.name ? name : `${elsewhere}/${name}`;
}

export async function applyWaypoint(env: Env, options: ApplyOptions, open: Open = openCluster): Promise<ApplyResult> {
  // What can be refused without a cluster is.
  makeGateway(options, undefined);
  const cluster = await open(env, options);
  const namespace = namespaceOf(cluster, options);
  const { name, dryRun, enrollNamespace, forceConflicts, wait, timeout } = options;
  const home = enrollNamespace ? await readHome(cluster, namespace, options) : undefined;
  const wanted = makeGateway(options, namespace);
  const before = await cluster.get(gateways, name, namespace);
  const after = await cluster.apply(gateways, wanted, { dryRun, force: forceConflicts });
  const warnings = await classWarnings(cluster, options.class);
  const waiting = wait && !dryRun;
  if (waiting) await waitForWaypoints({ env, cluster, timeoutMs: timeout }, [{ namespace, name }]);
  const ready = waiting || programmed(readWaypoint(after)) === 'yes';
  if (home) {
    warnings.push(...homeWarnings(home, after, ready));
    await enrol(cluster, home, name, dryRun);
  }
  return {
    dryRun,
    namespace,
    name,
    waypoint: before === undefined ? 'created' : sameObject(before, after) ? 'unchanged' : 'changed',
    ...(waiting ? { ready: true } : {}),
    ...(home === undefined ? {} : { enrolled: usedBy(home) === name ? 'before' : 'now' }),
    warnings,
  };
}

/** The namespace, read before anything is changed: a refusal changes nothing. */
async function readHome(cluster: Cluster, namespace: string, { name, overwrite }: ApplyOptions): Promise<KubeObject> {
  const home = await cluster.get(namespaces, namespace);
  if (home === undefined) throw new KmeshError('KM_NOT_FOUND', `there is no namespace "${namespace}"`);
  const used = usedBy(home);
  if (used === undefined || used === name || overwrite) return home;
  const what = used === 'none' ? 'is labelled to use no waypoint' : `uses waypoint "${used}" already`;
  throw new KmeshError('KM_CONFLICT', `namespace ${namespace} ${what}; nothing was changed`, {
    hint: '--overwrite lets it use this one',
  });
}

async function enrol(cluster: Cluster, home: KubeObject, name: string, dryRun: boolean): Promise<void> {
  if (usedBy(home) === name) return;
  // A label for another namespace would send this one there, whatever the name.
  const elsewhere =
    words.useWaypointNamespaceLabel in (home.metadata.labels ?? {}) ? { [words.useWaypointNamespaceLabel]: null } : {};
  await cluster.label(namespaces, home, { [words.useWaypointLabel]: name, ...elsewhere }, { dryRun });
}

/** Without the class nobody will ever look at the Gateway. Who may not read classes is told nothing. */
async function classWarnings(cluster: Cluster, name: string): Promise<string[]> {
  // Its Gateways are configured by kmeshctl itself, with the class or without.
  if (name === words.ownClass) return [];
  try {
    if ((await cluster.get(gatewayClasses, name)) !== undefined) return [];
  } catch {
    return [];
  }
  return [`the cluster has no GatewayClass "${name}": no controller will make the waypoint`];
}

const enrolledModes: ReadonlySet<string> = new Set(['ambient', 'kmesh']);

function homeWarnings(home: KubeObject, gateway: KubeObject, ready: boolean): string[] {
  const { name, labels = {} } = home.metadata;
  const mode = labels[words.dataplaneModeLabel]?.toLowerCase();
  const inMesh = mode !== undefined && enrolledModes.has(mode);
  const { trafficType } = readWaypoint(gateway);
  return [
    ...(inMesh
      ? []
      : [
          `namespace ${name} is not labelled as in the mesh: "kubectl label namespace ${name} ${words.dataplaneModeLabel}=ambient"`,
        ]),
    ...(trafficType === 'none' ? [`the waypoint is for no traffic (${words.waypointForLabel}: none)`] : []),
    ...(ready
      ? []
      : ['the waypoint is not programmed yet: until it is, its services may be refused; --wait enrols after that']),
  ];
}

const essence = ({ metadata, spec }: KubeObject) => ({
  labels: metadata.labels ?? {},
  annotations: metadata.annotations ?? {},
  spec,
});

const sameObject = (a: KubeObject, b: KubeObject): boolean => isDeepStrictEqual(essence(a), essence(b));
