// SPDX-License-Identifier: Apache-2.0
// Which cluster: the files that kubectl would read, or the service account of the pod that this runs in.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Env } from '../env.ts';
import { fileFault, KmeshError } from '../errors.ts';
import { readFileOrPipe, requirePlainFile } from '../plain-file.ts';
import type { ClusterFlags } from './cluster.ts';

const tokenFile = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** Files of KUBECONFIG that do not exist are left out, as kubectl does; the one of the flag must exist. */
function configFiles(env: Env, { kubeconfig }: ClusterFlags): readonly string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const listed = (env.getenv('KUBECONFIG') ?? '').split(delimiter).filter((file) => file !== '');
  const home = env.getenv('HOME') ?? homedir();
  return (listed.length > 0 ? listed : [join(home, '.kube', 'config')]).filter((file) => existsSync(file));
}

export async function readKubeconfig(env: Env, flags: ClusterFlags): Promise<KubeConfig> {
  const library = await import('@kubernetes/client-node');
  const files = configFiles(env, flags);
  const config = new library.KubeConfig();
  const inPod = files.length === 0 && (env.getenv('KUBERNETES_SERVICE_HOST') ?? '') !== '' && existsSync(tokenFile);
  if (inPod) config.loadFromCluster();
  else if (files.length === 0) {
    throw new KmeshError('KM_KUBE', 'no cluster to talk to: there is no kubeconfig', {
      hint: 'give --kubeconfig FILE or set KUBECONFIG; "kmeshctl waypoint generate" needs no cluster',
    });
  }
  for (const [index, file] of files.entries()) {
    const one = index === 0 ? config : new library.KubeConfig();
    try {
      one.loadFromString((await readFileOrPipe(file, env.signal)).toString());
      one.makePathsAbsolute(dirname(file));
    } catch (error) {
      // The library takes the members of what it has read without a look: a file may be empty, or hold something else.
      // What it says of YAML goes on with lines of the file.
      const [why] = error instanceof TypeError ? ['is no kubeconfig'] : fileFault(error).split('\n', 1);
      throw new KmeshError('KM_KUBE', `kubeconfig "${file}" ${why}`, { cause: error });
    }
    if (one !== config) mergeInto(config, one);
  }
  chooseContext(config, flags.context);
  return config;
}

/** Files that the context names, which the library reads for each request, however long that takes. @throws KmeshError */
export function requireNamedFiles(config: KubeConfig): void {
  const user = config.getCurrentUser();
  for (const file of [config.getCurrentCluster()?.caFile, user?.certFile, user?.keyFile]) {
    if (!file) continue;
    try {
      requirePlainFile(file);
    } catch (error) {
      throw new KmeshError('KM_KUBE', `file "${file}", which the kubeconfig names, ${fileFault(error)}`, {
        cause: error,
      });
    }
  }
}

/** As kubectl does: what the first file says of a name counts, and the first current context. (The library refuses doubles.) */
function mergeInto(config: KubeConfig, more: KubeConfig): void {
  const knows = (list: readonly { readonly name: string }[], name: string): boolean =>
    list.some((one) => one.name === name);
  for (const one of more.getClusters()) if (!knows(config.getClusters(), one.name)) config.addCluster(one);
  for (const one of more.getUsers()) if (!knows(config.getUsers(), one.name)) config.addUser(one);
  for (const one of more.getContexts()) if (!knows(config.getContexts(), one.name)) config.addContext(one);
  if (!config.getCurrentContext()) config.setCurrentContext(more.getCurrentContext());
}

function chooseContext(config: KubeConfig, wanted: string | undefined): void {
  const name = wanted ?? config.getCurrentContext();
  const known = config.getContexts().map((context) => context.name);
  const hint = known.length === 0 ? 'it has no contexts' : `there are: ${known.join(', ')}`;
  if (!name) throw new KmeshError('KM_KUBE', 'the kubeconfig names no current context', { hint: `--context; ${hint}` });
  if (!known.includes(name)) throw new KmeshError('KM_KUBE', `the kubeconfig has no context "${name}"`, { hint });
  config.setCurrentContext(name);
  const cluster = config.getCurrentCluster();
  if (!cluster?.server) {
    throw new KmeshError('KM_KUBE', `context "${name}" of the kubeconfig names a cluster without a server`);
  }
  // "kubectl proxy" has no TLS; the library takes that only where certificates are not looked at.
  if (cluster.server.startsWith('http:')) Object.assign(cluster, { skipTLSVerify: true });
}
