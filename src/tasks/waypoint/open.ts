// SPDX-License-Identifier: Apache-2.0
// The cluster of a command and the namespace that it is about. Tests give a cluster of their own.
import type { Env } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import type { Cluster, ClusterFlags } from '../../kube/cluster.ts';

export interface ClusterOptions extends ClusterFlags {
  readonly namespace?: string;
}

export type Open = (env: Env, flags: ClusterFlags) => Promise<Cluster>;

/** The library that knows kubeconfigs is large: loaded by who needs it. */
export const openCluster: Open = async (env, flags) => (await import('../../kube/rest.ts')).openCluster(env, flags);

/** The flag, else what the context says. */
export const namespaceOf = (cluster: Cluster, { namespace }: ClusterOptions): string => namespace ?? cluster.namespace;

/** "list" and "status" may be about all namespaces. */
export function scopeOf(
  cluster: Cluster,
  options: ClusterOptions & { readonly allNamespaces: boolean },
): { namespace?: string } {
  if (options.allNamespaces && options.namespace !== undefined) {
    throw new KmeshError('KM_USAGE', '--namespace and --all-namespaces exclude each other');
  }
  return options.allNamespaces ? {} : { namespace: namespaceOf(cluster, options) };
}
