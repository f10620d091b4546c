// SPDX-License-Identifier: Apache-2.0
// Runs a command in an enrolled cgroup of its own; the cgroup and its enrolment go with it.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { ownNetns } from '../kernel/netns.ts';
import { resolveCgroupRoot } from './cgroup-path.ts';
import { enrollCgroup } from './enroll.ts';
import { type AuthzChoice, netnsPath } from './judged-network.ts';
import { removeCgroup } from './own-cgroup.ts';
import { unenrollCgroup } from './unenroll.ts';

export interface ExecOptions {
  readonly place: Place;
  /** "namespace/name" of the workload that the command is. */
  readonly workload: string;
  /** Name under /run/netns, or a path of a network namespace. */
  readonly netns?: string;
  /** Whether what comes to the command's network is judged. Left out: in the host's network it cannot be, else as enroll does. */
  readonly authz?: AuthzChoice;
  /** It is a waypoint: what it calls goes through none. */
  readonly waypoint?: boolean;
  readonly command: readonly string[];
}

/** Signals that are passed on to the command; the rest have their usual effect. */
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

/** Signals that end no process by themselves. */
const harmless: ReadonlySet<NodeJS.Signals> = new Set(['SIGWINCH', 'SIGCONT']);

interface SignalPost {
  /** Came while there was no command that it could be passed on to. */
  readonly early: NodeJS.Signals | undefined;
  deliverTo(child: ChildProcess): void;
  close(): void;
}

/** Takes signals from here to close(), so that none ends this process before the cgroup is gone again. */
function openSignalPost(): SignalPost {
  let child: ChildProcess | undefined;
  let early: NodeJS.Signals | undefined;
  const pass = (signal: NodeJS.Signals): void => {
    if (child) child.kill(signal);
    else if (!harmless.has(signal)) early ??= signal;
  };
  for (const signal of forwarded) process.on(signal, pass);
  return {
    get early() {
      return early;
    },
    deliverTo(started) {
      child = started;
    },
    close() {
      for (const signal of forwarded) process.off(signal, pass);
    },
  };
}

const byExitCode = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/** Runs it with this process's own streams and gives its exit code: 128 + n when signal n ended it. */
function run(
  command: readonly string[],
  cgroup: string,
  netns: string | undefined,
  signals: SignalPost,
): Promise<number> {
  if (signals.early) return Promise.resolve(byExitCode(signals.early));
  // The shell joins the cgroup before exec, so that every socket of the command is made inside.
  const inside = netns === undefined ? command : ['nsenter', `--net=${netns}`, '--', ...command];
  const script = 'echo 0 > "$1" || exit 125; shift; exec "$@"';
  const child = spawn('/bin/sh', ['-c', script, 'sh', join(cgroup, 'cgroup.procs'), ...inside], { stdio: 'inherit' });
  signals.deliverTo(child);
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new KmeshError('KM_IO', `cannot start /bin/sh: ${error.message}`, { cause: error })),
    );
    child.once('exit', (code, signal) => {
      resolve(code ?? (signal === null ? 128 : byExitCode(signal)));
    });
  });
}

/** Runs the command and gives its exit code: 126 and 127 as env(1) has them come from the shell that starts it. */
export async function execInMesh(env: Env, options: ExecOptions): Promise<{ readonly exitCode: number }> {
  const { place, workload } = options;
  const netns = options.netns === undefined ? undefined : netnsPath(options.netns);
  const cgroup = join(resolveCgroupRoot(place), `kmesh-exec-${process.pid}-${env.now().toString(36)}`);
  const signals = openSignalPost();
  try {
    mkdirSync(cgroup);
    try {
      const authz = options.authz ?? (netns === undefined ? 'off' : undefined);
      const { waypoint } = options;
      await enrollCgroup(env, { place, cgroup, workload, netns: netns ?? ownNetns, authz, waypoint, dryRun: false });
      try {
        return { exitCode: await run(options.command, cgroup, netns, signals) };
      } finally {
        await unenrollCgroup(env, { place, cgroup, dryRun: false });
      }
    } finally {
      await removeCgroup(cgroup);
    }
  } finally {
    signals.close();
  }
}
