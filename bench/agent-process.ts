// SPDX-License-Identifier: Apache-2.0
// The agent as a process of its own, and what it costs.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { adminClient } from '../src/admin/client.ts';
import type { AgentStatus } from '../src/admin/types.ts';
import type { Place } from '../src/env.ts';
import { unload } from '../src/kernel/load.ts';
import { nodeFlags } from '../src/tasks/service/units.ts';
import { openPlace } from '../test/support/instance.ts';

const folder = join(import.meta.dirname, '..');
const program = join(folder, 'bin', 'kmeshctl.js');
const meter = pathToFileURL(join(folder, 'bench', 'loop-meter.mjs')).href;

export interface Usage {
  /** Seconds of all threads so far. */
  readonly cpu: number;
  readonly rssMb: number;
  /** The most there ever was. */
  readonly peakMb: number;
}

/** utime and stime of all threads (in ticks of 10 ms), resident memory. */
export function usage(pid: number): Usage {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').map(Number) ?? [];
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { cpu: ((fields[11] ?? 0) + (fields[12] ?? 0)) / 100, rssMb: mb('VmRSS'), peakMb: mb('VmHWM') };
}

/** Pieces of the last stream: how many bytes had come, when in milliseconds of the monotonic clock, and how long the main thread had waited
 * for a CPU by then. */
export type Arrival = readonly [bytes: number, at: number, waited: number];

export interface Metered {
  /** Longest time in milliseconds that the event loop was held up. */
  readonly longest: number;
  /** The same, waiting for a CPU not counted. */
  readonly own: number;
  /** The longest time on a CPU without a turn of the event loop. */
  readonly busy: number;
  readonly arrivals: readonly Arrival[];
}

export interface AgentProcess {
  readonly pid: number;
  readonly place: Place;
  readonly client: ReturnType<typeof adminClient>;
  usage(): Usage;
  /** Milliseconds that its main thread was ready to run and had no CPU. */
  waited(): number;
  /** Resolves once it answers: it is about to ask the control plane. */
  answers(): Promise<void>;
  /** Resolves with the status once everything that was told is in the kernel. */
  ready(): Promise<AgentStatus>;
  /** Since the last call. */
  meter(): Promise<Metered>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface AgentOptions {
  /** With the meter, which takes CPU time of its own; default yes. */
  readonly metered?: boolean;
}

/** Runs `kmeshctl agent` for node "node-0" of `place`, as its service does. */
export function startAgent(
  place: Place,
  words: readonly string[],
  { metered = true }: AgentOptions = {},
): AgentProcess {
  const blocks = `${place.runDir}.blocks`;
  const args = [program, 'agent', ...words, '--node', 'node-0', '--log-level', 'warn'];
  const flags = ['--bpffs', place.bpffs, '--cgroup-root', place.cgroupRoot, '--run-dir', place.runDir];
  const before = [...nodeFlags, ...(metered ? ['--import', meter] : [])];
  const child = spawn(process.execPath, [...before, ...args, ...flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, KMESH_LOOP_METER: blocks },
  });
  const pid = child.pid as number;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const client = adminClient(place.runDir);
  return {
    pid,
    place,
    client,
    usage: () => usage(pid),
    waited: () => Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6,
    async answers() {
      for (let i = 0; i < 6000 && !(await client.ready({}).catch(() => undefined)); i++) await pause(5);
    },
    async ready() {
      // Seldom: each question is a connection and a request that the agent answers.
      for (let i = 0; i < 600; i++) {
        const status = await client.ready({}).catch(() => undefined);
        if (status?.ready) return client.status({});
        if (child.exitCode !== null) throw new Error(`the agent ended with ${child.exitCode}`);
        await pause(100);
      }
      throw new Error('the agent was not ready within a minute');
    },
    async meter() {
      rmSync(blocks, { force: true });
      child.kill('SIGUSR2');
      for (let i = 0; i < 500 && !existsSync(blocks); i++) await pause(10);
      await pause(5);
      return JSON.parse(readFileSync(blocks, 'utf8'));
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await ended;
      rmSync(blocks, { force: true });
    },
  };
}

/** Entries for two clients of as many pods as there are. */
const room = ['--map-size', 'endpoint=524288'];

/** An agent that follows the control plane at this port or address, in a place of its own. */
export async function withAgent<T>(
  root: string,
  server: number | string,
  work: (agent: AgentProcess) => Promise<T>,
  options?: AgentOptions,
): Promise<T> {
  const { place, close } = await openPlace(root);
  const address = typeof server === 'number' ? `127.0.0.1:${server}` : server;
  const agent = startAgent(place, ['--xds', address, '--xds-plaintext', ...room], options);
  try {
    return await work(agent);
  } finally {
    await agent.stop();
    unload(place.bpffs);
    await close();
  }
}
