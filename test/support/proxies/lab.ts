// SPDX-License-Identifier: Apache-2.0
// A node whose services are behind two proxies of one kind: agent, data plane, enrolled client, control plane of waypoints, backends.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Reason } from '../../../src/abi/reasons.ts';
import type { Running } from '../../../src/demo/process.ts';
import { makeCertificates } from '../certificates.ts';
import { type Node, openNode } from '../node.ts';
import { project } from '../project.ts';
import { type Python, startPython } from '../python.ts';
import type { BackendCalls } from './backend.ts';
import type { ClientCalls } from './client.ts';
import type { ProxyKind, StockProxy } from './kind.ts';
import { mesh, podNames, proxyPods, type Way, ways } from './mesh.ts';
import { openPrograms, type Programs, type Remote } from './remote.ts';

export interface ProxyLab {
  readonly node: Node;
  readonly client: Remote<ClientCalls>;
  readonly python: Python;
  readonly backends: Readonly<Record<'v1' | 'v2', Remote<BackendCalls>>>;
  readonly proxies: Readonly<Record<Way, StockProxy>>;
  /** Root of the backends' certificates, in PEM. */
  readonly root: string;
  /** Makes these the pods that connections are led to; resolves when it holds. */
  ready(...names: readonly Way[]): Promise<void>;
  /** What the kernel counted of connections meanwhile, without zeros. */
  counting(body: () => Promise<unknown>): Promise<Partial<Readonly<Record<Reason, number>>>>;
  /** Requests that reached a backend without a proxy. */
  bare(): Promise<number>;
  /** What everybody said, beside the failure of a test. */
  explain(): string;
  close(): Promise<void>;
}

const adsPort = 15010;

/** "way-1" runs, and is what connections are led to. */
export async function openProxyLab(kind: ProxyKind): Promise<ProxyLab> {
  const folder = mkdtempSync(join(tmpdir(), 'km-proxies-'));
  let node: Node | undefined;
  let programs: Programs | undefined;
  let lab: ProxyLab | undefined;
  const close = async () => {
    programs?.close();
    // Proxies have names outside of the pods, too, which go with them.
    for (const proxy of Object.values(lab?.proxies ?? {})) await proxy.kill().catch(() => undefined);
    await node?.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    node = await openNode(kind.name.toLowerCase(), podNames);
    programs = await openPrograms();
    lab = await labOver(kind, node, programs, folder, close);
    await lab.proxies['way-1'].start();
    return lab;
  } catch (error) {
    const said = lab?.explain() ?? '';
    await close();
    throw new Error(`${kind.name} is not there${said && `:\n${said}`}`, { cause: error });
  }
}

const list = (items: unknown): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

async function labOver(
  kind: ProxyKind,
  node: Node,
  programs: Programs,
  folder: string,
  close: () => Promise<void>,
): Promise<ProxyLab> {
  const { key, cert, root } = makeCertificates(folder, 'DNS:one.example,DNS:two.example');
  const backend = async (name: string) => {
    const started = await programs.start<BackendCalls>(node.pod(name), 'backend', name);
    await started.open({ key, cert });
    return started;
  };
  const backends = { v1: await backend('v1'), v2: await backend('v2') };
  node.write('mesh.json', list(mesh(node, kind)));

  let generation = 0;
  const tell = (names: readonly Way[]): string => {
    const marker = `10.98.0.${++generation}`;
    node.write('proxies.json', list(proxyPods(node, names, marker)));
    return marker;
  };
  tell(['way-1']);
  const agent = node.startAgent();
  await node.ready();
  const enroll = async (name: string, ...words: readonly string[]) => {
    const { cgroup } = node.pod(name);
    const done = await node.kmeshctl('enroll', cgroup, '--workload', `shop/${name}`, '--authz', 'off', ...words);
    if (done.code !== 0) throw new Error(done.err);
  };
  await enroll('client');
  for (const name of ways) await enroll(name, '--waypoint');

  const control = serveRoutes(node);
  const place = (name: Way): StockProxy => {
    const own = join(folder, name);
    mkdirSync(own);
    const ads = { host: node.pod('way-1').address4, port: adsPort };
    return kind.place({ pod: node.pod(name), folder: own, ads });
  };
  const proxies = { 'way-1': place('way-1'), 'way-2': place('way-2') };
  await node.until(() => control.said().includes('waypoints are served'));

  return {
    node,
    client: await programs.start<ClientCalls>(node.pod('client'), 'client'),
    python: await startPython(node.pod('client')),
    backends,
    proxies,
    root: readFileSync(root, 'utf8'),
    async ready(...names) {
      const marker = tell(names);
      await node.until(() =>
        node.held((plane) => [...plane.map('frontend').entries()].some(([at]) => at.addr === marker)),
      );
      await node.ready();
    },
    async counting(body) {
      const counts = () => node.held((plane) => new Map(plane.reasons()));
      const before = counts();
      await body();
      const more = [...counts()].map(([reason, n]) => [reason, Number(n - (before.get(reason) ?? 0n))] as const);
      return Object.fromEntries(more.filter(([, n]) => n !== 0));
    },
    async bare() {
      const counts = await Promise.all([backends.v1.counts({}), backends.v2.counts({})]);
      return counts.reduce((sum, { bare }) => sum + bare, 0);
    },
    explain() {
      const parts = ways.map((name) => `${name}:\n${proxies[name].said().slice(-6000)}`);
      return [...parts, `control plane:\n${control.said()}`, `agent:\n${agent.log().slice(-4000)}`].join('\n\n');
    },
    close,
  };
}

/** The control plane of waypoints, beside the first proxy: in a cgroup of its own it would be no part of its pod. */
function serveRoutes(node: Node): { said(): string } {
  const config = join(dirname(node.place.runDir), 'config');
  const program = join(project, 'bin/kmeshctl.js');
  const words = [program, 'waypoint', 'serve', '--config', config, '--listen', `0.0.0.0:${adsPort}`];
  const { child }: Running = node.pod('way-1').start(process.execPath, words);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (part: Buffer) => {
      said = (said + part.toString()).slice(-8000);
    });
  }
  return { said: () => said };
}
