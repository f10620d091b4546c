// SPDX-License-Identifier: Apache-2.0
// A node with an agent whose pods are judged: policies that are known to be in force, and what reached a pod.
import { readFileSync } from 'node:fs';
import { runCommand } from '../../src/demo/process.ts';
import { type KubeObject, type PodOptions, pod, service } from './kube.ts';
import { type AgentProcess, type Node, openNode, type StartAgent } from './node.ts';
import { type Python, startPython } from './python.ts';

export interface AuthzLab {
  readonly node: Node;
  /** The one that runs, or ran last. */
  readonly agent: AgentProcess;
  /** Starts one, and waits until it is ready. */
  startAgent(options?: StartAgent): Promise<void>;
  address(pod: string, family?: 4 | 6): string;
  /** An interpreter of its own for each pod, the same at each call; knows what raw.py has, too. */
  python(pod: string): Promise<Python>;
  run<T = unknown>(pod: string, code: string, args?: Readonly<Record<string, unknown>>): Promise<T>;
  /** Makes these all the policies there are. Resolves when they are in force. */
  policies(...objects: readonly KubeObject[]): Promise<void>;
  /** Writes objects of the configuration beside the policies. Resolves when they are in force. */
  put(file: string, ...objects: readonly KubeObject[]): Promise<void>;
  /** A pod as the configuration has it. */
  podObject(name: string, options?: Partial<PodOptions>): KubeObject;
  /** Enrolls a pod as shop/NAME. */
  enforce(pod: string, ...words: readonly string[]): Promise<void>;
  /** Carried out, or an error with what it said. */
  kmeshctl(...words: readonly string[]): Promise<string>;
  /** What came of a TCP connection and of a datagram on a connected socket from one pod to another's port. */
  tries(from: string, to: string, port?: number): Promise<Tries>;
  /** Connections accepted and datagrams taken in by a pod since it began. */
  reached(pod: string): Promise<Reached>;
  close(): Promise<void>;
}

/** The name of who answered, or of the errno. */
export interface Tries {
  readonly tcp4: string;
  readonly tcp6: string;
  readonly udp4: string;
  readonly udp6: string;
}

export interface Reached {
  readonly connections: number;
  readonly datagrams: number;
}

export const everyTry = (outcome: string): Tries => ({ tcp4: outcome, tcp6: outcome, udp4: outcome, udp6: outcome });
export const refused = everyTry('ECONNREFUSED');

async function carriedOut(node: Node, ...words: readonly string[]): Promise<string> {
  const { code, out, err } = await node.kmeshctl(...words);
  if (code !== 0) throw new Error(`kmeshctl ${words.join(' ')} ended with ${code}: ${out}${err}`);
  return out;
}

/** Enrolls a pod as shop/NAME, judged. */
export async function enrollJudged(node: Node, name: string, ...words: readonly string[]): Promise<void> {
  const { cgroup, netns } = node.pod(name);
  // The kernel says "refused" of datagrams six times a second to a peer, of a closed port too.
  const unlimited = ['net.ipv4.icmp_ratemask=0', 'net.ipv6.icmp.ratelimit=0'];
  await runCommand('KM_NETNS', 'nsenter', [`--net=${netns}`, 'sysctl', '-qw', ...unlimited]);
  await carriedOut(node, 'enroll', cgroup, '--netns', netns, '--workload', `shop/${name}`, '--authz', 'on', ...words);
}

/** What a Python in a pod must run to know raw.py. */
export const raw = () => readFileSync(new URL('raw.py', import.meta.url), 'utf8');

export interface AuthzLabOptions {
  /** Those not named are written as pods of their own account in namespace "shop". */
  readonly pods?: Readonly<Record<string, Partial<PodOptions>>>;
  readonly agent?: StartAgent;
}

/** Pods named so, known to an agent. Nothing is enrolled and there is no policy. */
export async function openAuthzLab(
  kind: string,
  names: readonly string[],
  options: AuthzLabOptions = {},
): Promise<AuthzLab> {
  const node = await openNode(kind, names);
  try {
    const lab = labOver(node, options);
    node.write('pods.json', list(names.map((name) => lab.podObject(name))));
    await lab.startAgent();
    return lab;
  } catch (error) {
    await node.close();
    throw error;
  }
}

const list = (items: readonly KubeObject[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

function labOver(node: Node, options: AuthzLabOptions): AuthzLab {
  const pythons = new Map<string, Promise<Python>>();
  let agent: AgentProcess | undefined;
  let written = 0;

  const python: AuthzLab['python'] = (name) => {
    let held = pythons.get(name);
    if (held === undefined) {
      held = startPython(node.pod(name)).then(async (started) => {
        await started.run(raw());
        return started;
      });
      pythons.set(name, held);
    }
    return held;
  };
  const run: AuthzLab['run'] = async (name, code, args) => (await python(name)).run(code, args);
  const address: AuthzLab['address'] = (name, family = 4) =>
    family === 4 ? node.pod(name).address4 : node.pod(name).address6;

  const differences = async (): Promise<number> => {
    let found = 0;
    for await (const _ of node.client.diff({})) found++;
    return found;
  };
  /** What is written with a new service is in force when that service is there and nothing waits to be written. */
  const put: AuthzLab['put'] = async (file, ...objects) => {
    const mark = `10.99.${++written >> 8}.${written & 255}`;
    node.write(`${file}.json`, list([...objects, service(`mark-${file}`, { addresses: [mark] })]));
    await node.until(() =>
      node.held((plane) => [...plane.map('frontend').entries()].some(([key]) => key.addr === mark)),
    );
    await node.ready();
    // What does not fit waits until its map has grown.
    await node.until(async () => (await differences()) === 0);
  };
  const kmeshctl: AuthzLab['kmeshctl'] = (...words) => carriedOut(node, ...words);
  return {
    node,
    get agent() {
      if (!agent) throw new Error('no agent was started');
      return agent;
    },
    async startAgent(more = {}) {
      agent = node.startAgent({ ...options.agent, ...more });
      await node.ready();
    },
    address,
    python,
    run,
    put,
    policies: (...objects) => put('policies', ...objects),
    podObject: (name, more) =>
      pod(name, { node: 'n1', addresses: [address(name), address(name, 6)], ...options.pods?.[name], ...more }),
    enforce: (name, ...words) => enrollJudged(node, name, ...words),
    kmeshctl,
    tries: (from, to, port = 8080) =>
      run(from, 'out = tries(host4, host6, port)', { host4: address(to), host6: address(to, 6), port }),
    reached: (name) => run(name, 'out = reached()'),
    close: () => node.close(),
  };
}

/** An AuthorizationPolicy of namespace "shop", for the pods of one app or for all. */
export function authz(
  name: string,
  spec: { readonly action?: 'ALLOW' | 'DENY'; readonly app?: string; readonly rules?: readonly unknown[] },
): KubeObject {
  const { action = 'ALLOW', app, rules } = spec;
  const selector = app === undefined ? {} : { selector: { matchLabels: { app } } };
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'shop' },
    spec: { ...selector, action, ...(rules ? { rules } : {}) },
  } satisfies KubeObject & { spec: unknown } as KubeObject;
}

/** A rule that accounts of namespace "shop" match. */
export const from = (...accounts: readonly string[]) => ({
  from: [{ source: { principals: accounts.map((account) => `cluster.local/ns/shop/sa/${account}`) } }],
});

/** Nobody may come to the pods of namespace "shop" but those whom other policies name. */
export const allowNothing = authz('allow-nothing', {});
