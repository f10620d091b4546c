// SPDX-License-Identifier: Apache-2.0
// A real istiod for tests (test/istiod): started, stopped and started again with the objects it had, cut off, kept waiting, asked.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe } from 'vitest';
import type { KubeObject } from './kube.ts';
import { project } from './project.ts';
import type { Served, ServedAddress, ServedPolicy } from './served.ts';

const built = join(project, '.cache/istiod');
const program = join(built, 'istiod-harness');

/** Why there is none on this machine; undefined when there is. */
export function istiodMissing(): string | undefined {
  if (existsSync(program)) return undefined;
  const why = join(built, 'missing');
  return existsSync(why) ? readFileSync(why, 'utf8').trim() : 'scripts/build-istiod.sh has not been run';
}

/** A `describe` whose tests count as skipped on a machine where istiod cannot be built. */
export function withIstiod(name: string, body: () => void): void {
  const missing = istiodMissing();
  if (missing !== undefined) process.stderr.write(`skipped, no istiod: ${missing}\n`);
  (missing === undefined ? describe : describe.skip)(name, body);
}

export interface IstiodOptions {
  readonly objects?: readonly KubeObject[];
  /** A TLS port, which asks for this token. */
  readonly token?: string;
  /** "SERVICES,WORKLOADS" to begin with. */
  readonly generate?: string;
  /** MeshConfig as YAML. */
  readonly meshConfig?: string;
  /** How old a connection gets, about, as Go writes it: "3s". */
  readonly maxConnectionAge?: string;
}

export interface Nack {
  readonly node: string;
  readonly typeUrl: string;
  readonly code: number;
  readonly message: string;
}

/** The first request of a stream for a type. */
export interface First {
  readonly node: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly typeUrl: string;
  readonly subscribe: readonly string[] | null;
  readonly unsubscribe: readonly string[] | null;
  readonly held: Readonly<Record<string, string>> | null;
}

export interface Stats {
  readonly streams: number;
  readonly connections: number;
  readonly acks: Readonly<Record<string, number>>;
  readonly nacks: number;
}

export interface Istiod {
  /** HOST:PORT of the plaintext port; the same after start(). */
  readonly ads: string;
  /** HOST:PORT of the TLS port; '' without a token. */
  readonly tls: string;
  /** Where ca.pem is, the root of the TLS port. */
  readonly folder: string;
  /** Creates or replaces; resolves once the index has it. While stopped: what it starts with. */
  put(...objects: readonly KubeObject[]): Promise<void>;
  remove(...objects: readonly KubeObject[]): Promise<void>;
  /** Both, as one push. */
  change(put: readonly KubeObject[], remove: readonly KubeObject[]): Promise<void>;
  /** What a client must hold once it has settled. */
  served(): Promise<Served>;
  nacks(): Promise<readonly Nack[]>;
  firsts(): Promise<readonly First[]>;
  stats(): Promise<Stats>;
  /** Ends all streams in order, or cuts their TCP connections. */
  disconnect(how: 'clean' | 'tcp'): Promise<void>;
  /** Takes no connections any more, or keeps them and sends nothing, until resume(). */
  pause(how: 'away' | 'silent'): Promise<void>;
  resume(): Promise<void>;
  /** The token that the TLS port accepts from now on. */
  acceptToken(token: string): Promise<void>;
  /** Ends the process, without a word to its clients. */
  stop(): Promise<void>;
  /** Starts it again at the same addresses, with what was put and not removed, also meanwhile. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** What "istioctl ztunnel-config KIND -f" prints of a config_dump. */
export function ztunnelConfig(kind: string, file: string, format = 'short'): string {
  return execFileSync(join(built, 'ztunnel-config'), [kind, file, format], { encoding: 'utf8', maxBuffer: 1 << 28 });
}

const keyOf = ({ kind, metadata }: KubeObject): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

/** Starts one on free ports. It is ready when this resolves. */
export async function startIstiod(options: IstiodOptions = {}): Promise<Istiod> {
  const folder = mkdtempSync(join(tmpdir(), 'km-istiod-'));
  const held = new Map<string, KubeObject>();
  for (const object of options.objects ?? []) held.set(keyOf(object), object);
  let bound = { ads: '127.0.0.1:0', tls: '127.0.0.1:0', control: '127.0.0.1:0' };
  let child: ChildProcess | undefined;
  let token = options.token ?? '';

  const start = async () => {
    const file = join(folder, 'objects.yaml');
    writeFileSync(file, [...held.values()].map((object) => JSON.stringify(object)).join('\n---\n'));
    const tls = options.token ? ['--tls-listen', bound.tls, '--tls-dir', folder, '--token', token] : [];
    const generate = options.generate ? ['--generate', options.generate] : [];
    const age = options.maxConnectionAge ? ['--max-connection-age', options.maxConnectionAge] : [];
    const config = options.meshConfig ? ['--mesh-config', options.meshConfig] : [];
    const flags = [
      '--listen',
      bound.ads,
      '--control',
      bound.control,
      '--objects',
      file,
      ...tls,
      ...generate,
      ...config,
      ...age,
    ];
    const started = spawn(program, flags, { stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    let said = '';
    started.stderr.on('data', (part: Buffer) => {
      said = (said + part.toString()).slice(-4000);
    });
    const line = await new Promise<string>((ready, failed) => {
      createInterface({ input: started.stdout }).once('line', ready);
      started.once('exit', () => failed(new Error(`istiod ended:\n${said}`)));
    });
    bound = { tls: '', ...JSON.parse(line) };
  };
  const stop = async () => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
    child = undefined;
  };
  const ask = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const answer = await fetch(`http://${bound.control}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`istiod: ${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  const get = async <T>(path: string): Promise<T> => (await (await ask('GET', path)).json()) as T;
  const change: Istiod['change'] = async (put, remove) => {
    for (const object of put) held.set(keyOf(object), object);
    for (const object of remove) held.delete(keyOf(object));
    if (child) await ask('POST', '/objects', { put, delete: remove });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ads: bound.ads,
    tls: bound.tls,
    folder,
    put: (...objects) => change(objects, []),
    remove: (...objects) => change([], objects),
    change,
    async served() {
      const addresses = await get<ServedAddress[]>('/ambientz');
      return { addresses, policies: await get<ServedPolicy[]>('/policies') };
    },
    nacks: () => get('/nacks'),
    firsts: () => get('/firsts'),
    stats: () => get('/stats'),
    async disconnect(how) {
      await ask('POST', `/disconnect${how === 'tcp' ? '?tcp=1' : ''}`);
    },
    async pause(how) {
      await ask('POST', `/pause${how === 'silent' ? '?silent=1' : ''}`);
    },
    async resume() {
      await ask('POST', '/resume');
    },
    async acceptToken(other) {
      token = other;
      await ask('POST', `/token?is=${encodeURIComponent(other)}`);
    },
    stop,
    start,
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
