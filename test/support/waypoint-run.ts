// SPDX-License-Identifier: Apache-2.0
// A node with a client, two pods of a service, and a network for the waypoint of that service, which `waypoint run` runs.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { readEnrolments } from '../../src/agent/enrolments.ts';
import type { Enrolment } from '../../src/compile/enrolment.ts';
import type { Tally, Target } from '../../src/demo/protocol.ts';
import { type Client, startClient } from '../../src/demo/traffic.ts';
import { installedFile } from '../../src/tasks/installed-file.ts';
import type { Ready } from '../../src/tasks/waypoint/run.ts';
import { envoyProgram } from './envoy.ts';
import { type AgentProcess, type Node, openNode } from './node.ts';
import { project } from './project.ts';

/** Of the pod that the waypoint runs in. */
export const wayAddress = '10.0.0.4';
const service = { host: '10.96.0.10', port: 80 };

const pod = (name: string, address: string) => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name}}}
spec: {nodeName: n1, serviceAccountName: ${name}, containers: [{name: main, image: x, ports: [{containerPort: 8080}]}]}
status: {phase: Running, podIP: ${address}, podIPs: [{ip: ${address}}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec: {clusterIP: None, selector: {app: ${name}}, ports: [{name: http, port: 8080, appProtocol: http}]}
---
`;

/** What has a Gateway at the pod's address, by which "cart" is reached. */
export const gatewayYaml = (binding = 'PROXY/15088', name = 'way'): string => `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: shop, annotations: {ambient.istio.io/waypoint-inbound-binding: ${binding}}}
spec:
  gatewayClassName: kmesh-waypoint
  addresses: [{type: IPAddress, value: ${wayAddress}}]
  listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]
`;

const cart = `---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: way}}
spec: {clusterIP: ${service.host}, selector: {app: cart-1}, ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]}
`;

/** /v2 is for cart-2, the rest for who is named. */
const routeYaml = (backend: string): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart}]
  rules:
    - matches: [{path: {type: PathPrefix, value: /v2}}]
      backendRefs: [{name: cart-2, port: 8080}]
    - backendRefs: [{name: ${backend}, port: 8080}]
`;

export interface Run {
  readonly child: ChildProcess;
  /** What it said when it listened, for the nth time. @throws when it ended before. */
  ready(count?: number): Promise<Ready>;
  /** Standard error. */
  log(): string;
  /** Envoy's answer on its admin interface. */
  admin(path: string): Promise<string>;
  /** Sends the signal; the exit code, null when the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** Its exit code once it ends by itself. */
  readonly ended: Promise<number | null>;
}

export interface RunNode {
  readonly node: Node;
  readonly agent: AgentProcess;
  /** The agent's folder. */
  readonly config: string;
  /** `waypoint run way -n shop` in the pod's network, with more words. */
  run(...words: readonly string[]): Run;
  /** The same with nothing else said. */
  runBare(...words: readonly string[]): Run;
  /** Who answers so many calls through the service, or what went wrong. */
  call(n: number, more?: Partial<Target>): Promise<Readonly<Record<string, number>>>;
  /** Calls until `done` is called. */
  load(): Promise<{ done(): Promise<Tally> }>;
  /** What its Gateway says that connections begin with, and to which port. */
  bind(binding: string): void;
  /** `waypoint serve` of the same folder and run directory; resolves once it serves. */
  serve(): Promise<void>;
  /** What is not /v2 goes to this service from now on. */
  route(backend: string): void;
  enrolled(): readonly Enrolment[];
  process(pid: number): ProcessFacts;
  /** What a waypoint would leave on the node. */
  traces(): readonly string[];
  until: Node['until'];
  close(): Promise<void>;
}

interface ProcessFacts {
  readonly uid: number;
  readonly capabilities: bigint;
  readonly noNewPrivileges: boolean;
  readonly cgroup: string;
}

export async function openRunNode(): Promise<RunNode> {
  const node = await openNode('run', ['client', 'cart-1', 'cart-2', 'way']);
  const runs: Run[] = [];
  let client: Client | undefined;
  const close = async (): Promise<void> => {
    try {
      for (const { child, ended } of runs) {
        child.kill('SIGKILL');
        await ended;
      }
    } finally {
      await node.close();
    }
  };
  try {
    for (const name of ['cart-1', 'cart-2']) await serve(node, name);
    node.write('pods.yaml', `${pod('client', '10.0.0.1')}${pod('cart-1', '10.0.0.2')}${pod('cart-2', '10.0.0.3')}`);
    node.write('way.yaml', `${gatewayYaml()}${cart}`);
    node.write('route.yaml', routeYaml('cart-1'));
    const agent = node.startAgent({ words: ['--waypoint-ads', '127.0.0.1:0'] });
    await node.ready();
    const enrolled = await node.kmeshctl(
      'enroll',
      node.pod('client').cgroup,
      '--workload',
      'shop/client',
      '--authz',
      'off',
    );
    if (enrolled.code !== 0) throw new Error(enrolled.err);
    client = startClient(node.pod('client'), process.execPath, installedFile('dist/demo-client.js'));
    return meshOver(node, agent, client, runs, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function serve(node: Node, name: string): Promise<void> {
  const running = node.pod(name).start(process.execPath, [installedFile('dist/demo-server.js'), name, '8080', '5300']);
  let said = '';
  running.child.stdout?.on('data', (part: Buffer) => {
    said += part.toString();
  });
  await node.until(() => said.includes('ready'));
}

function meshOver(node: Node, agent: AgentProcess, client: Client, runs: Run[], close: RunNode['close']): RunNode {
  const { bpffs, cgroupRoot, runDir } = node.place;
  const target: Target = { protocol: 'http', ...service };
  const start = (words: readonly string[]): Run => {
    const flags = ['--bpffs', bpffs, '--cgroup-root', cgroupRoot, '--run-dir', runDir, '-o', 'json'];
    const split = words.indexOf('--');
    const [own, rest] = split < 0 ? [words, []] : [words.slice(0, split), words.slice(split)];
    const all = [join(project, 'bin/kmeshctl.js'), 'waypoint', 'run', ...own, ...flags, ...rest];
    const run = runOver(node, agent, spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] }));
    runs.push(run);
    return run;
  };
  return {
    node,
    agent,
    config: join(dirname(runDir), 'config'),
    runBare: (...words) => start(words),
    run: (...words) =>
      start(['way', '-n', 'shop', '--netns', node.pod('way').netns, '--proxy', envoyProgram, ...words]),
    async call(calls, more = {}) {
      const [tally] = await client.order({ kind: 'calls', target: { ...target, ...more }, calls, parallel: 1 });
      return { ...tally?.answers, ...tally?.errors };
    },
    async load() {
      await client.order({ kind: 'begin', targets: [target], limit: 10_000_000 });
      return { done: async () => (await client.order({ kind: 'end' }))[0] as Tally };
    },
    bind: (binding) => node.write('way.yaml', `${gatewayYaml(binding)}${cart}`),
    async serve() {
      const words = ['waypoint', 'serve', '--config', join(dirname(runDir), 'config'), '--listen', '127.0.0.1:0'];
      const all = [join(project, 'bin/kmeshctl.js'), ...words, '--run-dir', runDir];
      const run = runOver(node, agent, spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] }));
      runs.push(run);
      await node.until(() => run.log().includes('waypoints are served'));
    },
    route: (backend) => node.write('route.yaml', routeYaml(backend)),
    enrolled: () => node.held((plane) => [...readEnrolments(plane).values()]),
    process: factsOf,
    traces() {
      const cgroups = readdirSync(cgroupRoot).filter((name) => name.startsWith('kmesh-waypoint-'));
      const folder = join(runDir, 'waypoints');
      return [...cgroups, ...(existsSync(folder) ? [folder] : [])];
    },
    until: node.until,
    close,
  };
}

function runOver(node: Node, agent: AgentProcess, child: ChildProcess): Run {
  const said = { out: '', err: '' };
  child.stdout?.on('data', (part: Buffer) => {
    said.out += part.toString();
  });
  child.stderr?.on('data', (part: Buffer) => {
    said.err += part.toString();
  });
  const ended = once(child, 'exit').then(() => child.exitCode);
  const over = () => child.exitCode !== null || child.signalCode !== null;
  return {
    child,
    ended,
    log: () => said.err,
    async ready(count = 1) {
      const lines = () => said.out.split('\n').slice(0, -1);
      await node.until(() => lines().length >= count || over());
      const line = lines()[count - 1];
      if (line === undefined)
        throw new Error(`waypoint run ended:\n${said.err.slice(-4000)}\n${agent.log().slice(-4000)}`);
      return JSON.parse(line) as Ready;
    },
    admin: (path) =>
      new Promise((resolve, reject) => {
        const socketPath = join(node.place.runDir, 'waypoints/shop.way/proxy/admin.sock');
        get({ socketPath, path }, (response) => resolve(text(response))).on('error', reject);
      }),
    async end(signal) {
      child.kill(signal);
      return ended;
    },
  };
}

function factsOf(pid: number): ProcessFacts {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
  return {
    uid: Number(field('Uid')),
    capabilities: BigInt(`0x${field('CapPrm')}`) | BigInt(`0x${field('CapBnd')}`),
    noNewPrivileges: field('NoNewPrivs') === '1',
    cgroup: readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim(),
  };
}
