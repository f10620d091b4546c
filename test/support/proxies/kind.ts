// SPDX-License-Identifier: Apache-2.0
// What tests know of a proxy that is no part of ours, whichever it is.
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe } from 'vitest';
import type { Pod } from '../../../src/demo/lab.ts';
import { project } from '../project.ts';

/** What services of the tests are for; a proxy may have a port (and a Gateway) for each. `log`: HTTP whose connections are told by seen(). */
export type Role = 'http' | 'grpc' | 'tls' | 'log';

export interface Gateway {
  readonly name: string;
  readonly port: number;
}

/** What a proxy says of a connection that a request came by. */
export interface Seen {
  readonly path: string;
  /** What it takes for its own address and port, and for the other side's. */
  readonly local: readonly [string, number];
  readonly remote: readonly [string, number];
  /** TLV 0xD0. */
  readonly identity: string;
}

/** One that runs in a pod. */
export interface StockProxy {
  /** Connections that it took. */
  connections(): Promise<number>;
  /** Those that began with something else than a header. */
  broken(): Promise<number>;
  seen(): readonly Seen[];
  /** Everything it said, for messages. */
  said(): string;
  kill(): Promise<void>;
  /** Ends once its connections have; takes no new ones. */
  drain(): Promise<void>;
  /** Starts it, after it ended. */
  start(): Promise<void>;
  /** Another process with the same configuration takes its place; what is on its way goes on. */
  reload(): Promise<void>;
}

/** Where one is to run. */
export interface Place {
  readonly pod: Pod;
  /** Empty, for what it writes. */
  readonly folder: string;
  /** Where the control plane of waypoints listens. */
  readonly ads: { readonly host: string; readonly port: number };
}

export interface ProxyKind {
  readonly name: string;
  /** Why it cannot be had here. */
  readonly missing: string | undefined;
  readonly gateways: Readonly<Record<Role, Gateway>>;
  /** Not started yet. */
  place(at: Place): StockProxy;
}

/** Services of the tests: in each of them, last number of its addresses. Those of a backend have no waypoint. */
export const services = {
  shop: 1,
  log: 2,
  api: 3,
  secure: 4,
  v1: 11,
  v2: 12,
} as const;

export type ServiceName = keyof typeof services;

export const address = (name: ServiceName, family: 4 | 6 = 4): string =>
  family === 4 ? `10.96.1.${services[name]}` : `fd96::1:${services[name]}`;

/** A `describe` whose tests count as skipped on a machine where the proxy cannot be had. */
export function withProxy(kind: ProxyKind, body: () => void): void {
  const { name, missing } = kind;
  if (missing !== undefined) process.stderr.write(`skipped, no ${name}: ${missing}\n`);
  (missing === undefined ? describe : describe.skip)(`through ${name}`, body);
}

const fetched = join(project, '.cache/proxies');

/** What scripts/fetch-proxies.sh found: the words that start a program, or a path; `missing`: why there are none. */
export function found(): Readonly<Record<'haproxy' | 'nginx' | 'stream', readonly string[]>> & {
  readonly missing: string | undefined;
} {
  const paths = join(fetched, 'paths');
  const why = join(fetched, 'missing');
  const lines = existsSync(paths) ? readFileSync(paths, 'utf8').trim().split('\n') : [];
  const of = new Map(lines.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]));
  const words = (name: string) => (of.get(name) ?? '').split(' ');
  const reason = existsSync(why) ? readFileSync(why, 'utf8').trim() : 'scripts/fetch-proxies.sh has not been run';
  return {
    haproxy: words('haproxy'),
    nginx: words('nginx'),
    stream: words('stream'),
    missing: of.size > 0 ? undefined : reason,
  };
}

/** Lines "LOCAL:PORT from REMOTE:PORT as IDENTITY: PATH" of a log. */
export function seenIn(log: string): Seen[] {
  const bare = (host = '') => host.replace(/^\[(.*)\]$/, '$1');
  return [...log.matchAll(/^(\S+):(\d+) from (\S+):(\d+) as (\S+): (\S+)$/gm)].map(
    ([, local, localPort, remote, remotePort, identity = '', path = '']) => ({
      path,
      local: [bare(local), Number(localPort)],
      remote: [bare(remote), Number(remotePort)],
      identity,
    }),
  );
}

/** An HTTP answer by a Unix socket. */
export function askSocket(socketPath: string, path: string, method = 'GET'): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method, headers: { host: 'proxy' }, agent: false }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${path}: ${response.statusCode} ${text}`));
      });
    });
    call.on('error', reject).end();
  });
}
