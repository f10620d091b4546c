// SPDX-License-Identifier: Apache-2.0
// Routes of a folder at an Envoy: how long an edit takes until a request is answered by it, and how long everything takes at first.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { follow } from '../src/demo/process.ts';
import { proxyHeader } from '../test/support/l7.ts';
import { type Line, report } from './report.ts';
import { percentile, spread, spreadText } from './statistics.ts';
import { type Process, type Start, startEnvoy, startServe, until } from './waypoint-envoy.ts';

const edits = 150;
const starts = 3;
const inFile = 10;

interface Size {
  readonly routes: number;
  /** Of each service. */
  readonly endpoints: number;
}

const small: Size = { routes: 1, endpoints: 10 };
const large: Size = { routes: 1000, endpoints: 10 };

const here: Start = (command, args) => follow(spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }));
const serviceAddress = (n: number) => `10.96.${n >> 8}.${n & 255}`;

const serviceYaml = (n: number) => `apiVersion: v1
kind: Service
metadata:
  name: app-${n}
  namespace: shop
spec:
  clusterIP: ${serviceAddress(n)}
  selector:
    app: app-${n}
  ports:
  - name: http
    port: 80
    targetPort: 8080
    appProtocol: http
`;
const podYaml = (n: number, i: number) => `apiVersion: v1
kind: Pod
metadata:
  name: app-${n}-${i}
  namespace: shop
  labels:
    app: app-${n}
spec:
  nodeName: node-${n % 100}
  serviceAccountName: app-${n}
status:
  phase: Running
  podIP: 172.${16 + i}.${n >> 8}.${n & 255}
  conditions:
  - type: Ready
    status: "True"
`;
/** Says its version to who asks for it, and is a route as they are otherwise. */
const routeYaml = (n: number, version: number) => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: app-${n}
  namespace: shop
spec:
  parentRefs:
  - group: ""
    kind: Service
    name: app-${n}
    port: 80
  rules:
  - matches:
    - path:
        type: Exact
        value: /version
    filters:
    - type: RequestRedirect
      requestRedirect:
        hostname: v${version}.example
  - matches:
    - path:
        type: PathPrefix
        value: /api
      headers:
      - name: x-user
        value: someone
    - path:
        type: PathPrefix
        value: /admin
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set:
        - name: x-route
          value: app-${n}
    timeouts:
      request: 10s
    backendRefs:
    - name: app-${n}
      port: 80
      weight: 9
    - name: app-${n}
      port: 80
      weight: 1
  - backendRefs:
    - name: app-${n}
      port: 80
`;
const meshYaml = `apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels:
    istio.io/use-waypoint: waypoint
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: waypoint
  namespace: shop
spec:
  gatewayClassName: kmesh-waypoint
  addresses:
  - type: IPAddress
    value: 127.0.0.1
`;

/** Routes of one file; the first of them in this version. */
function routesText(file: number, { routes }: Size, version: number): string {
  const out: string[] = [];
  for (let n = file * inFile; n < Math.min(routes, (file + 1) * inFile); n++) {
    out.push(routeYaml(n, n === file * inFile ? version : 0));
  }
  return out.join('---\n');
}

function writeFolder(folder: string, size: Size): void {
  mkdirSync(folder);
  writeFileSync(join(folder, 'mesh.yaml'), meshYaml);
  for (let file = 0; file * inFile < size.routes; file++) {
    const docs: string[] = [];
    for (let n = file * inFile; n < Math.min(size.routes, (file + 1) * inFile); n++) {
      docs.push(serviceYaml(n));
      for (let i = 0; i < size.endpoints; i++) docs.push(podYaml(n, i));
    }
    writeFileSync(join(folder, `apps-${file}.yaml`), docs.join('---\n'));
    writeFileSync(join(folder, `routes-${file}.yaml`), routesText(file, size, 0));
  }
}

interface Running {
  readonly folder: string;
  readonly size: Size;
  readonly listen: number;
  readonly admin: number;
  readonly serve: Process;
  readonly envoy: Process;
}

const asked = (port: number, path: string): Promise<string> =>
  new Promise((resolve) => {
    const request = get({ port, path, host: '127.0.0.1' }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(response.statusCode === 200 ? text : ''));
    });
    request.on('error', () => resolve(''));
  });

/** A connection to a service through the waypoint, as a node would make it, that asks for the version again and again. */
function openAsking(listen: number, n: number) {
  const socket: Socket = connect(listen, '127.0.0.1');
  socket.setNoDelay(true);
  socket.write(proxyHeader(serviceAddress(n), 80));
  let text = '';
  let answer: ((version: string) => void) | undefined;
  let broken = '';
  const settle = (version: string) => {
    answer?.(version);
    answer = undefined;
  };
  socket.on('data', (chunk) => {
    text += chunk;
    if (!text.includes('\r\n\r\n')) return;
    const version = /location: http:\/\/v(\d+)\.example/i.exec(text)?.[1] ?? text;
    text = '';
    settle(version);
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    broken = 'closed';
    settle(broken);
  });
  return {
    ask: () =>
      new Promise<string>((resolve) => {
        if (broken) return resolve(broken);
        answer = resolve;
        socket.write('GET /version HTTP/1.1\r\nhost: app\r\n\r\n');
      }),
    close: () => socket.destroy(),
  };
}

/** Resolves when everything is in use at the Envoy. */
async function untilActive({ admin, listen, size }: Pick<Running, 'admin' | 'listen' | 'size'>): Promise<void> {
  await until('ready', async () => (await asked(admin, '/ready')).includes('LIVE'), 5);
  const stats = await asked(admin, '/stats?filter=(active_clusters|warming_clusters|listeners_active)$');
  const one = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(stats)?.[1]);
  if (one('active_clusters') !== size.routes + 1 || one('warming_clusters') !== 0 || one('listeners_active') !== 1) {
    throw new Error(`Envoy has not what it should:\n${stats}`);
  }
  const asking = openAsking(listen, size.routes - 1);
  const version = await asking.ask();
  asking.close();
  if (version !== '0') throw new Error(`the last service says ${version}`);
}

/** Ports that differ, below those that the kernel gives to connections: nobody gets one of them before it is listened at. */
async function freePorts(count: number): Promise<number[]> {
  const held = new Map<number, Server>();
  while (held.size < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (isFree) held.set(port, server);
  }
  for (const server of held.values()) await new Promise((closed) => server.close(closed));
  return [...held.keys()];
}

interface Started {
  /** From the start of both processes, and from the start of an Envoy when the control plane was there already. */
  readonly both: number;
  readonly envoy: number;
  /** CPU seconds of control plane and Envoy until then. */
  readonly cpu: number;
  readonly envoyCpu: number;
}

async function atSize<T>(size: Size, body: (running: Running, started: Started) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'km-bench-'));
  const config = join(folder, 'config');
  writeFolder(config, size);
  const [listen, ads, admin] = (await freePorts(3)) as [number, number, number];
  const running: Process[] = [];
  const envoyHere = (): Process => {
    const all = { start: here, folder, waypoint: 'shop/waypoint', listen: `127.0.0.1:${listen}`, ads, admin };
    const envoy = startEnvoy(all);
    running.push(envoy);
    return envoy;
  };
  try {
    let at = performance.now();
    const serve = startServe(here, config, ads);
    running.push(serve);
    const first = envoyHere();
    const place = { folder: config, size, listen, admin };
    await untilActive(place);
    const both = performance.now() - at;
    const [cpu, envoyCpu] = [serve.cpu(), first.cpu()];
    await first.stop();
    at = performance.now();
    const envoy = envoyHere();
    await untilActive(place);
    const started = { both, envoy: performance.now() - at, cpu, envoyCpu };
    return await body({ ...place, serve, envoy }, started);
  } finally {
    for (const process of running) await process.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Milliseconds from an edit to the first request that it answers. */
async function change({ folder, size, listen }: Running, how: 'replaced' | 'written'): Promise<number[]> {
  const files = Math.ceil(size.routes / inFile);
  const took: number[] = [];
  const versions = new Map<number, number>();
  for (let i = -3; i < edits; i++) {
    const file = (i + 3) % files;
    const path = join(folder, `routes-${file}.yaml`);
    const asking = openAsking(listen, file * inFile);
    const before = Number(await asking.ask());
    const version = Math.max(before, versions.get(file) ?? 0) + 1;
    versions.set(file, version);
    const text = routesText(file, size, version);
    const fresh = join(folder, '.next');
    if (how === 'replaced') writeFileSync(fresh, text);
    const at = performance.now();
    if (how === 'replaced') renameSync(fresh, path);
    else writeFileSync(path, text);
    for (;;) {
      const answer = await asking.ask();
      if (answer === String(version)) break;
      if (answer === 'closed' || performance.now() - at > 10_000) throw new Error(`version ${version}: ${answer}`);
      await pause(1);
    }
    if (i >= 0) took.push(performance.now() - at);
    asking.close();
    await pause(20 + Math.random() * 50);
  }
  return took;
}

async function changes(size: Size): Promise<Line[]> {
  return atSize(size, async (running) => {
    const lines: Line[] = [];
    for (const how of ['replaced', 'written'] as const) {
      const before = [running.serve.cpu(), running.envoy.cpu()] as const;
      const took = await change(running, how);
      const [serve, envoy] = [running.serve.cpu() - before[0], running.envoy.cpu() - before[1]];
      const p99 = percentile(took, 0.99);
      const each = (cpu: number) => ((cpu * 1000) / edits).toFixed(1);
      lines.push({
        what: `a route's file ${how === 'replaced' ? 'replaced' : 'written in place'}, ${size.routes} routes, to the next request`,
        figure: `p50 ${percentile(took, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; ${each(serve)} CPU-ms of ours, ${each(envoy)} of Envoy's`,
        limit: 'p99 at most 100 ms',
        met: p99 <= 100,
      });
    }
    return lines;
  });
}

async function firstConfiguration(): Promise<Line[]> {
  const all: Started[] = [];
  for (let i = 0; i < starts; i++) all.push(await atSize(large, async (_, started) => started));
  const line = (what: string, times: readonly number[]): Line => ({
    what: `${what} to everything in use, ${large.routes} routes, ${large.routes * large.endpoints} endpoints`,
    figure: `${spreadText(times)} s`,
    limit: 'at most 3 s',
    met: spread(times).median <= 3,
  });
  return [
    line(
      'start of the control plane and of an Envoy',
      all.map(({ both }) => both / 1000),
    ),
    line(
      'start of an Envoy',
      all.map(({ envoy }) => envoy / 1000),
    ),
    {
      what: 'CPU until then, control plane and Envoy',
      figure: `${spreadText(all.map(({ cpu }) => cpu))} and ${spreadText(all.map(({ envoyCpu }) => envoyCpu))} CPU-s`,
    },
  ];
}

export async function benchRoutes(): Promise<Line[]> {
  return report('Routes', [...(await changes(small)), ...(await changes(large)), ...(await firstConfiguration())]);
}
