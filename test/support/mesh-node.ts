// SPDX-License-Identifier: Apache-2.0
// A node "node-a" whose agent subscribes to a real istiod, with pods that call services and are called.
import type { Pod } from '../../src/demo/lab.ts';
import { type Istiod, type IstiodOptions, startIstiod } from './istiod.ts';
import { expectKernelLikeIstiod, type Taken } from './kernel-like.ts';
import { clusterNode, type KubeObject, namespace, pod } from './kube.ts';
import { type AgentProcess, type Node, openNode, type StartAgent } from './node.ts';
import { type Python, startPython } from './python.ts';
import type { Rules } from './ztunnel-rules.ts';

export interface MeshNode {
  readonly node: Node;
  readonly istiod: Istiod;
  /** Starts an agent that subscribes. */
  agent(options?: StartAgent): AgentProcess;
  /** The same, and waits until it is ready. */
  started(options?: StartAgent): Promise<AgentProcess>;
  /** The kernel holds what istiod serves. */
  settled(rules?: Partial<Rules> & Taken): Promise<void>;
  /** A pod of this node as istiod knows it. */
  podObject(name: string, options?: Partial<Parameters<typeof pod>[1]>): KubeObject;
  lab(name: string): Pod;
  /** Who answers so many connections from the pod "client", by name; failures by errno. */
  calls(host: string, port?: number, n?: number): Promise<Readonly<Record<string, number>>>;
  /** Who answers so many datagrams. */
  asks(host: string, port?: number, n?: number): Promise<Readonly<Record<string, number>>>;
  python(pod: string): Promise<Python>;
  close(): Promise<void>;
}

/** "default", the folder of the control plane and the one of most tests. */
const basics: readonly KubeObject[] = [namespace('istio-system', { labels: {} }), namespace('shop')];

/** Pods named so, the first of which is "client"; every other one is a server on TCP and UDP port 9000. */
export async function openMeshNode(
  kind: string,
  servers: readonly string[],
  options: IstiodOptions & { readonly specs?: readonly string[] } = {},
): Promise<MeshNode> {
  const specs = options.specs ?? ['tcp/9000', 'udp/9000'];
  const objects = [...basics, clusterNode('node-a', 'eu/eu-1/rack-1'), ...(options.objects ?? [])];
  const istiod = await startIstiod({ ...options, objects });
  let node: Node;
  try {
    node = await openNode(kind, ['client', ...servers]);
  } catch (error) {
    await istiod.close();
    throw error;
  }
  const pythons = new Map<string, Promise<Python>>();
  const python = (name: string): Promise<Python> => {
    const held = pythons.get(name) ?? startPython(node.pod(name));
    pythons.set(name, held);
    return held;
  };
  const close = async () => {
    await node.close().finally(() => istiod.close());
  };
  const agent: MeshNode['agent'] = ({ words = [], ...more } = {}) =>
    node.startAgent({
      folder: false,
      node: 'node-a',
      words: ['--xds', istiod.ads, '--xds-plaintext', ...words],
      ...more,
    });
  const mesh: MeshNode = {
    node,
    istiod,
    agent,
    async started(agentOptions) {
      const started = agent(agentOptions);
      await node.ready();
      return started;
    },
    settled: async (rules) => void (await expectKernelLikeIstiod(node, istiod, rules)),
    podObject(name, podOptions = {}) {
      const { address4, address6 } = node.pod(name);
      return pod(name, { addresses: [address4, address6], ...podOptions });
    },
    lab: (name) => node.pod(name),
    calls: async (host, port = 80, n = 40) =>
      (await python('client')).run('out = calls(host, port, n)', { host, port, n }),
    asks: async (host, port = 80, n = 20) =>
      (await python('client')).run('out = asks(host, port, n)', { host, port, n }),
    python,
    close,
  };
  try {
    await Promise.all(servers.map((name) => node.serve(name, ...specs)));
    await istiod.put(mesh.podObject('client'));
  } catch (error) {
    await close();
    throw error;
  }
  return mesh;
}

/** Enrolls a pod as what istiod knows as "namespace/name". */
export async function enrollClient({ node }: MeshNode, workload = 'shop/client'): Promise<void> {
  const cgroup = node.pod(workload.split('/')[1] ?? '').cgroup;
  const done = await node.kmeshctl('enroll', cgroup, '--workload', workload, '--authz', 'off');
  if (done.code !== 0) throw new Error(done.err);
}
