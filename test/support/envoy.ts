// SPDX-License-Identifier: Apache-2.0
// A stock Envoy for tests: started with a bootstrap of theirs, asked by its admin port, ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe } from 'vitest';
import { project } from './project.ts';

const fetched = join(project, '.cache/envoy');
export const envoyProgram = join(fetched, 'envoy');

export function envoyMissing(): string | undefined {
  if (existsSync(envoyProgram)) return undefined;
  const why = join(fetched, 'missing');
  return existsSync(why) ? readFileSync(why, 'utf8').trim() : 'scripts/fetch-envoy.sh has not been run';
}

/** A `describe` whose tests count as skipped on a machine where Envoy cannot be had. */
export function withEnvoy(name: string, body: () => void): void {
  const missing = envoyMissing();
  if (missing !== undefined) process.stderr.write(`skipped, no Envoy: ${missing}\n`);
  (missing === undefined ? describe : describe.skip)(name, body);
}

export interface Envoy {
  /** The answer of its admin port. */
  admin(path: string): Promise<string>;
  /** Port that a listener got; its bootstrap says 0. */
  port(listener: string): Promise<number>;
  close(): Promise<void>;
}

interface Listeners {
  readonly listener_statuses?: readonly {
    readonly name: string;
    readonly local_address: { readonly socket_address?: { readonly port_value: number } };
  }[];
}

/** Ready when this resolves. `bootstrap`: without an admin port, which is added. */
export async function startEnvoy(bootstrap: Readonly<Record<string, unknown>>): Promise<Envoy> {
  const folder = mkdtempSync(join(tmpdir(), 'km-envoy-'));
  const at = join(folder, 'admin');
  const admin = { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } };
  const file = join(folder, 'bootstrap.json');
  writeFileSync(file, JSON.stringify({ node: { id: 'test', cluster: 'test' }, ...bootstrap, admin }));
  const flags = [
    '-c',
    file,
    '--concurrency',
    '1',
    '-l',
    'warning',
    '--use-dynamic-base-id',
    '--admin-address-path',
    at,
  ];
  const child = spawn(envoyProgram, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (part: Buffer) => {
    said = (said + part.toString()).slice(-4000);
  });
  const ask = async (path: string): Promise<string> => {
    const answer = await fetch(`http://${readFileSync(at, 'utf8').trim()}${path}`);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`envoy: ${path}: ${answer.status} ${text}`);
    return text;
  };
  const close = async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(child, ask);
  } catch (error) {
    await close();
    throw new Error(`envoy did not start:\n${said}`, { cause: error });
  }
  return {
    admin: ask,
    async port(listener) {
      const { listener_statuses = [] } = JSON.parse(await ask('/listeners?format=json')) as Listeners;
      const port = listener_statuses.find(({ name }) => name === listener)?.local_address.socket_address?.port_value;
      if (port === undefined) throw new Error(`envoy has no listener ${listener}`);
      return port;
    },
    close,
  };
}

async function untilReady(child: ChildProcess, ask: (path: string) => Promise<string>): Promise<void> {
  let fault: unknown;
  for (let tries = 0; tries < 600; tries++) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    try {
      await ask('/ready');
      return;
    } catch (error) {
      fault = error;
    }
    await pause(100);
  }
  throw fault;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
