// SPDX-License-Identifier: Apache-2.0
// A node with clients, a waypoint and pods that answer: requests go through the kernel, a real Envoy and our control plane of it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RouteCondition } from '../../../src/admin/waypoint.ts';
import type { Running } from '../../../src/demo/process.ts';
import { makeCertificates } from '../certificates.ts';
import { bootstrap, envoyPath } from '../l7.ts';
import { type Node, openNode } from '../node.ts';
import { project } from '../project.ts';
import { clients, meshYaml, namespaceOf, serviceAddress } from './objects.ts';
import { type Behaviour, ownService, type PodName, pods } from './table.ts';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
type ClientName = (typeof clients)[number];

/** Port of the control plane, of what it tells, and of Envoy's admin; all in the waypoint's namespace. */
const ports = { ads: 15010, status: 15011, admin: 15012 };
const patienceMs = 90_000;

export interface Ask {
  readonly as: string;
  readonly address: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly sni?: string;
  /** Of bytes that are sent as they are: what the answer is complete with. */
  readonly until?: string;
  readonly times?: number;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly error?: string;
}

export interface World {
  ask(from: ClientName, ask: Ask): Promise<readonly Reply[]>;
  /** Address of a service or a pod. */
  address(of: { readonly service?: string; readonly pod?: PodName }, family: 4 | 6): string;
  /** The pod of an address. */
  nameOf(address: string): string | undefined;
  /** Pods that saw a request of that id, once for each time. */
  seen(id: string): readonly PodName[];
  /** Route key -> conditions at each parent. */
  conditions(): Promise<ReadonlyMap<string, readonly RouteCondition[]>>;
  close(): Promise<void>;
}

export interface WorldOptions {
  /** More words for "waypoint serve". */
  readonly serve?: readonly string[];
  /** How Envoy asks: by what changes (default), or for the state of the world. */
  readonly api?: 'DELTA_GRPC' | 'GRPC';
}

export async function openWorld(behaviours: readonly Behaviour[], options: WorldOptions = {}): Promise<World> {
  const node = await openNode('conformance', [...clients, 'waypoint', ...pods]);
  const folder = mkdtempSync(join(tmpdir(), 'km-conformance-'));
  const close = async () => {
    rmSync(folder, { recursive: true, force: true });
    await node.close();
  };
  try {
    return await open(node, folder, behaviours, options, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(
  node: Node,
  folder: string,
  behaviours: readonly Behaviour[],
  { serve = [], api = 'DELTA_GRPC' }: WorldOptions,
  close: () => Promise<void>,
): Promise<World> {
  const services = [...pods, ...behaviours.map(ownService)];
  node.write('mesh.yaml', meshYaml(node, behaviours));
  node.startAgent({ node: 'n1' });
  const waypoint = node.pod('waypoint');
  const config = join(dirname(node.place.runDir), 'config');
  const { ads, status, admin } = ports;
  const words = ['--config', config, '--listen', `127.0.0.1:${ads}`, '--status', `127.0.0.1:${status}`, ...serve];
  const program = join(project, 'bin/kmeshctl.js');
  const serving = waypoint.start(process.execPath, [program, 'waypoint', 'serve', ...words]);
  const said = speech(serving);
  const seen = new Map<string, PodName[]>();
  const { key, cert } = makeCertificates(folder, 'DNS:localhost');
  for (const [name, text] of Object.entries({ key, cert })) writeFileSync(join(folder, name), text);
  const echoes = pods.map((pod) => {
    const files = [join(folder, 'key'), join(folder, 'cert')];
    const running = node.pod(pod).start(process.execPath, [script('echo.mjs'), pod, ...files]);
    return told<{ readonly id: string; readonly pod: PodName }>(running, ({ id, pod }) => {
      seen.set(id, [...(seen.get(id) ?? []), pod]);
    });
  });
  const speakers = new Map(
    [...clients, 'waypoint'].map((name) => [
      name,
      speaker(node.pod(name).start(process.execPath, [script('client.mjs')])),
    ]),
  );
  const file = join(folder, 'envoy.json');
  writeFileSync(file, JSON.stringify(bootstrap({ admin, ads: { host: '127.0.0.1', port: ads }, api })));
  const flags = ['-c', file, '--disable-hot-restart', '--concurrency', '1', '-l', 'warning'];
  const envoySaid = speech(waypoint.start(envoyPath, flags));

  const local = (port: number, path: string) =>
    (speakers.get('waypoint') as Speaker)({ as: 'http', address: '127.0.0.1', port, method: 'GET', path, headers: {} });
  await node.ready();
  for (const name of clients) await enroll(node, name, '--workload', `${namespaceOf(name)}/${name}`);
  await enroll(node, 'waypoint', '--waypoint');
  await Promise.all(echoes);
  const ready = async (what: string, check: () => Promise<boolean>) => {
    for (const end = performance.now() + patienceMs; !(await check()); await pause(50)) {
      if (serving.child.exitCode !== null || performance.now() > end)
        throw new Error(`not ${what}:\n${said()}\n${envoySaid()}`);
    }
  };
  // Ready once it has its listener and all routes, or has waited for them in vain.
  await ready('ready', async () => (await local(admin, '/ready'))[0]?.status === 200);
  await ready('told', async () => String((await local(admin, '/listeners'))[0]?.body).includes(':15088'));

  return {
    ask: (from, ask) => (speakers.get(from) as Speaker)(ask),
    address({ service, pod }, family) {
      if (pod !== undefined) return family === 4 ? node.pod(pod).address4 : node.pod(pod).address6;
      return serviceAddress(services.indexOf(service as string), family);
    },
    nameOf: (address) =>
      [...node.lab.pods.values()].find((pod) => [pod.address4, pod.address6].includes(address))?.name,
    seen: (id) => seen.get(id) ?? [],
    async conditions() {
      const [answer] = await local(status, '/');
      const { routes } = (answer as Reply).body as {
        routes: { route: string; parents: { conditions: readonly RouteCondition[] }[] }[];
      };
      return new Map(routes.map(({ route, parents }) => [route, parents.flatMap(({ conditions }) => conditions)]));
    },
    close,
  };
}

async function enroll(node: Node, pod: string, ...words: readonly string[]): Promise<void> {
  const { code, err } = await node.kmeshctl('enroll', node.pod(pod).cgroup, ...words, '--authz', 'off');
  if (code !== 0) throw new Error(err);
}

/** The end of what a process says. */
function speech({ child }: Running): () => string {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (part) => {
      said = (said + String(part)).slice(-6000);
    });
  }
  return () => said;
}

/** Takes each line of JSON; resolves once the first one is there, which says that it is ready. */
function told<T>(running: Running, take: (line: T) => void): Promise<void> {
  const said = speech(running);
  return new Promise((resolve, reject) => {
    createInterface({ input: running.child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const value = JSON.parse(line) as T & { readonly ready?: true };
      if (value.ready) resolve();
      else take(value);
    });
    void running.ended.then(() => reject(new Error(`ended: ${said()}`)));
  });
}

type Speaker = (ask: Ask) => Promise<readonly Reply[]>;

function speaker(running: Running): Speaker {
  const waiting = new Map<number, (replies: readonly Reply[]) => void>();
  let n = 0;
  const ready = told<{ readonly n: number; readonly replies: readonly Reply[] }>(running, (line) => {
    waiting.get(line.n)?.(line.replies);
    waiting.delete(line.n);
  });
  return async (ask) => {
    await ready;
    return new Promise((resolve) => {
      waiting.set(++n, resolve);
      running.child.stdin?.write(`${JSON.stringify({ n, ...ask })}\n`);
    });
  };
}
