// SPDX-License-Identifier: Apache-2.0
// Everything ambient (streams, environment, clock) as one value, so that commands and tasks can be run inside a test.
import { hostname } from 'node:os';
import type { Readable, Writable } from 'node:stream';

export interface Env {
  readonly stdin: Readable;
  readonly stdout: Writable & { isTTY?: boolean; columns?: number };
  readonly stderr: Writable & { isTTY?: boolean; columns?: number };
  getenv(name: string): string | undefined;
  /** All of the environment. */
  environ(): Readonly<Record<string, string | undefined>>;
  /** Milliseconds since the epoch. */
  now(): number;
  hostname(): string;
  cwd(): string;
  /** Effective user id 0. */
  isRoot(): boolean;
  /** Aborted by the first SIGINT or SIGTERM, when the command asked for that. */
  readonly signal: AbortSignal;
  /** Calls `listener` at each SIGHUP, which else ends the process; the result stops that. Absent: there are no signals. */
  onHangup?(listener: () => void): () => void;
}

/** Where this instance lives: several live side by side with different ones. */
export interface Place {
  /** Folder on a bpffs for pins, e.g. /sys/fs/bpf/kmesh. */
  readonly bpffs: string;
  /** cgroup2 directory that programs are attached to. */
  readonly cgroupRoot: string;
  /** Lock and agent socket, e.g. /run/kmesh. */
  readonly runDir: string;
}

/** The process's own. */
export function processEnv(signal: AbortSignal): Env {
  return {
    // Node makes each of them at its first use, which takes milliseconds.
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
    getenv: (name) => process.env[name],
    environ: () => process.env,
    now: () => Date.now(),
    hostname,
    cwd: () => process.cwd(),
    isRoot: () => process.geteuid?.() === 0,
    signal,
    onHangup(listener) {
      process.on('SIGHUP', listener);
      return () => void process.off('SIGHUP', listener);
    },
  };
}
