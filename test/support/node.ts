// SPDX-License-Identifier: Apache-2.0
// A node for tests: pods, a folder of YAML, and the built kmeshctl as processes with pins, cgroup and run directory of their own.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type AdminClient, adminClient } from '../../src/admin/client.ts';
import { type Lab, openLab, type Pod } from '../../src/demo/lab.ts';
import type { Place } from '../../src/env.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { unload } from '../../src/kernel/load.ts';
import { openPinned, type PinnedDataPlane } from '../../src/kernel/pinned.ts';
import { openPlace } from './instance.ts';
import { labName, removeLeftovers } from './leftovers.ts';
import { project } from './project.ts';
import { startServer } from './python.ts';

const program = join(project, 'bin/kmeshctl.js');
/** A loaded machine takes many times as long as an idle one. */
const patienceMs = 90_000;

export interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface AgentProcess {
  readonly child: ChildProcess;
  /** What it has logged so far. */
  log(): string;
  /** Its exit code; null when a signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export interface StartAgent {
  /** More words for `agent`. */
  readonly words?: readonly string[];
  /** False: it does not read the folder. */
  readonly folder?: boolean;
  /** Name of this node; default "n1". */
  readonly node?: string;
  /** Another kmeshctl than this one. */
  readonly program?: string;
}

export interface Node {
  readonly lab: Lab;
  readonly place: Place;
  readonly client: AdminClient;
  pod(name: string): Pod;
  serve(pod: string, ...specs: readonly string[]): Promise<unknown>;
  /** Writes one file of the configuration, seen by an agent as a whole. */
  write(file: string, text: string): void;
  startAgent(options?: StartAgent): AgentProcess;
  /** Waits until the agent is ready and nothing waits to be written. */
  ready(): Promise<void>;
  kmeshctl(...words: readonly string[]): Promise<Answer>;
  /** Another kmeshctl with this place. */
  run(program: string, ...words: readonly string[]): Promise<Answer>;
  /** Opens the pins for a moment. */
  held<T>(read: (plane: PinnedDataPlane) => T): T;
  /** The same for as long as something takes. */
  holding<T>(read: (plane: PinnedDataPlane) => Promise<T>): Promise<T>;
  until(check: () => boolean | Promise<boolean>): Promise<void>;
  /** Ends every process, removes everything. */
  close(): Promise<void>;
}

/** Pods named so have the addresses 10.0.0.1, fd00::1 and so on in order. Nothing is loaded yet. */
export async function openNode(kind: string, podNames: readonly string[]): Promise<Node> {
  await removeLeftovers();
  const name = labName(kind);
  const lab = await openLab(name, join(cgroupMount(), name));
  try {
    for (const [i, pod] of podNames.entries()) {
      await lab.addPod(pod, { address4: `10.0.0.${i + 1}`, address6: `fd00::${(i + 1).toString(16)}` });
    }
    const { place, close } = await openPlace(lab.cgroupRoot);
    return nodeOver(lab, place, close);
  } catch (error) {
    await lab.close();
    throw error;
  }
}

function nodeOver(lab: Lab, place: Place, closePlace: () => Promise<void>): Node {
  const config = join(dirname(place.runDir), 'config');
  mkdirSync(config);
  const agents: AgentProcess[] = [];
  const flags = ['--bpffs', place.bpffs, '--cgroup-root', place.cgroupRoot, '--run-dir', place.runDir];
  const client = adminClient(place.runDir);

  const until: Node['until'] = async (check) => {
    for (const end = performance.now() + patienceMs; !(await check()); await pause(10)) {
      if (performance.now() < end) continue;
      throw new Error(`not within ${patienceMs} ms: ${check}; the agent said:\n${agents.at(-1)?.log().slice(-4000)}`);
    }
  };
  const pod = (name: string): Pod => {
    const found = lab.pods.get(name);
    if (!found) throw new Error(`no pod is named ${name}`);
    return found;
  };
  const run: Node['run'] = (other, ...words) =>
    new Promise((resolve) => {
      const split = words.indexOf('--');
      const [own, rest] = split < 0 ? [words, []] : [words.slice(0, split), words.slice(split)];
      execFile(process.execPath, [other, ...own, ...flags, ...rest], { maxBuffer: 1 << 26 }, (error, out, err) => {
        resolve({ code: error ? Number(error.code ?? -1) : 0, out, err });
      });
    });

  return {
    lab,
    place,
    client,
    pod,
    serve: (name, ...specs) => startServer(pod(name), ...specs),
    write(file, text) {
      // Written elsewhere, moved into place: half a file is never read.
      const fresh = join(dirname(config), file);
      writeFileSync(fresh, text);
      renameSync(fresh, join(config, file));
    },
    startAgent(options = {}) {
      const folder = options.folder === false ? [] : ['--config', config];
      const all = [options.program ?? program, 'agent', ...flags, ...folder, '--node', options.node ?? 'n1'];
      const child = spawn(process.execPath, [...all, ...(options.words ?? [])], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let log = '';
      child.stderr?.on('data', (part: Buffer) => {
        log += part.toString();
      });
      const exit = once(child, 'exit');
      const agent: AgentProcess = {
        child,
        log: () => log,
        async end(signal) {
          child.kill(signal);
          await exit;
          return child.exitCode;
        },
      };
      agents.push(agent);
      return agent;
    },
    ready: () =>
      until(async () => {
        const status = await client.status({}).catch(() => undefined);
        return status?.ready === true && status.queue === 0 && status.lastApply !== undefined;
      }),
    kmeshctl: (...words) => run(program, ...words),
    run,
    held(read) {
      const plane = openPinned(place.bpffs);
      try {
        return read(plane);
      } finally {
        plane.close();
      }
    },
    async holding(read) {
      const plane = openPinned(place.bpffs);
      try {
        return await read(plane);
      } finally {
        plane.close();
      }
    },
    until,
    async close() {
      try {
        for (const { child, end } of agents)
          if (child.exitCode === null && child.signalCode === null) await end('SIGKILL');
        unload(place.bpffs);
      } finally {
        await closePlace().finally(() => lab.close());
      }
    },
  };
}
