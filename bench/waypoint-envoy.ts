// SPDX-License-Identifier: Apache-2.0
// A stock Envoy as a waypoint, told by `kmeshctl waypoint serve`: both as processes of their own, in a pod or beside it.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Running } from '../src/demo/process.ts';
import { bootstrapOf, unsearched } from '../src/tasks/waypoint/run-bootstrap.ts';
import { envoyPath, hasEnvoy } from '../test/support/l7.ts';
import { project } from '../test/support/project.ts';

/** Starts a command: in a pod, or here. */
export type Start = (command: string, args: readonly string[]) => Running;

export interface Process {
  readonly pid: number;
  /** CPU seconds so far. */
  cpu(): number;
  stop(): Promise<unknown>;
}

const program = join(project, 'bin/kmeshctl.js');
const patienceMs = 60_000;

export async function until(what: string, check: () => Promise<boolean> | boolean, everyMs = 20): Promise<void> {
  for (const end = performance.now() + patienceMs; !(await check()); await pause(everyMs)) {
    if (performance.now() > end) throw new Error(`not ${what} within ${patienceMs / 1000} s`);
  }
}

/** Follows a command; what it says is told when it ends by itself. */
function watched(start: Start, command: string, args: readonly string[]): Process {
  const run = start(command, args);
  let said = '';
  const hear = (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-4000);
  };
  run.child.stdout?.on('data', hear);
  run.child.stderr?.on('data', hear);
  let stopped = false;
  void run.ended.then(({ code }) => {
    if (!stopped) process.stderr.write(`${command} ended with ${code}:\n${said}\n`);
  });
  const pid = run.child.pid as number;
  return {
    pid,
    cpu() {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? [];
      return ((fields[11] ?? 0) + (fields[12] ?? 0)) / 100;
    },
    stop() {
      stopped = true;
      return run.stop();
    },
  };
}

export const startServe = (start: Start, config: string, port: number): Process =>
  watched(start, process.execPath, [
    program,
    ...['waypoint', 'serve', '--config', config, '--listen', `127.0.0.1:${port}`, '--log-level', 'warn'],
    ...['--run-dir', join(dirname(config), 'serve')],
  ]);

export interface EnvoyOptions {
  readonly start: Start;
  readonly folder: string;
  /** "NAMESPACE/NAME" */
  readonly waypoint: string;
  /** ADDRESS:PORT */
  readonly listen: string;
  readonly ads: number;
  readonly admin: number;
  /** Listeners of its own beside those it is told of. */
  readonly listeners?: readonly object[];
}

const socket = (port: number, address = '127.0.0.1') => ({ socket_address: { address, port_value: port } });

/** As `waypoint run` starts it, but told and asked over TCP. */
export function startEnvoy({ start, folder, waypoint, listen, ads, admin, listeners = [] }: EnvoyOptions): Process {
  if (!hasEnvoy) throw new Error('no Envoy in .cache/envoy: scripts/fetch-envoy.sh');
  const { static_resources, ...rest } = bootstrapOf({ waypoint, node: 'bench', listen });
  const [told] = (static_resources as { readonly clusters: readonly object[] }).clusters;
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: socket(ads) } }] }];
  const bootstrap = {
    ...rest,
    admin: { address: socket(admin) },
    static_resources: { listeners, clusters: [{ ...told, load_assignment: { cluster_name: 'ads', endpoints } }] },
  };
  const path = join(folder, 'envoy.json');
  writeFileSync(path, JSON.stringify(bootstrap));
  return watched(start, envoyPath, [
    '-c',
    path,
    '--disable-hot-restart',
    '--concurrency',
    '1',
    '-l',
    'error',
    unsearched,
  ]);
}

interface Chain {
  readonly filter_chain_match?: { readonly destination_port?: number };
}

interface Dump {
  readonly configs: readonly {
    readonly active_state?: { readonly listener: { readonly filter_chains: readonly Chain[] } };
  }[];
}

/**
 * What the waypoint's listener does with a port, as a listener that is dialled itself: the same filter chain, but no header before it and
 * nothing to choose among. `dump`: answer of /config_dump?resource=dynamic_listeners.
 */
export function directListener(dump: string, dialled: number, port: number): object {
  const { configs } = JSON.parse(dump) as Dump;
  const chains = configs.flatMap((config) => config.active_state?.listener.filter_chains ?? []);
  const chain = chains.find((c) => c.filter_chain_match?.destination_port === dialled);
  if (!chain) throw new Error(`Envoy has no chain for port ${dialled}`);
  const { filter_chain_match: _, ...same } = chain;
  return { name: `direct-${dialled}`, address: socket(port, '0.0.0.0'), filter_chains: [same] };
}
