// SPDX-License-Identifier: Apache-2.0
// Runs a command in an enrolled cgroup of its own; the cgroup and its enrolment go with it.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { resolveCgroupRoot } from './cgroup-path.ts';
import { enrollCgroup, netnsPath } from './enroll.ts';
import { unenrollCgroup } from './unenroll.ts';

export interface ExecOptions {
  readonly place: Place;
  /** "namespace/name" of the workload that the command is. */
  readonly workload: string;
  /** Name under /run/netns, or a path of a network namespace. */
  readonly netns?: string;
  readonly command: readonly string[];
}

/** Signals that are passed on to the command; the rest have their usual effect. */
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

/** Kills what is left in the cgroup (as a container's end does) and removes it; waits at most two seconds for it to empty. */
async function removeCgroup(path: string): Promise<void> {
  try {
    writeFileSync(join(path, 'cgroup.kill'), '1');
  } catch {
    // Older than cgroup.kill (Linux 5.14), or gone already: rmdir below tells.
  }
  for (let tries = 0; tries < 40; tries++) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY')
        throw new KmeshError('KM_CGROUP', `cannot remove cgroup ${path}: ${code}`, { cause: error });
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  const left = readFileSync(join(path, 'cgroup.procs'), 'utf8').trim().split('\n').join(', ');
  throw new KmeshError('KM_CGROUP', `cgroup ${path} still holds processes ${left}`, {
    hint: 'end them, then rmdir it',
  });
}

/** Runs it with this process's own streams and gives its exit code: 128 + n when signal n ended it. */
function run(command: readonly string[], cgroup: string, netns: string | undefined): Promise<number> {
  // The shell joins the cgroup before exec, so that every socket of the command is made inside.
  const inside = netns === undefined ? command : ['nsenter', `--net=${netns}`, '--', ...command];
  const script = 'echo 0 > "$1" || exit 125; shift; exec "$@"';
  const child = spawn('/bin/sh', ['-c', script, 'sh', join(cgroup, 'cgroup.procs'), ...inside], { stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of forwarded) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(new KmeshError('KM_IO', `cannot start /bin/sh: ${error.message}`, { cause: error })),
    );
    child.once('exit', (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  }).finally(() => {
    for (const signal of forwarded) process.off(signal, pass);
  }) as Promise<number>;
}

/** Runs the command and gives its exit code: 126 and 127 as env(1) has them come from the shell that starts it. */
export async function execInMesh(env: Env, options: ExecOptions): Promise<{ readonly exitCode: number }> {
  const { place, workload } = options;
  const netns = options.netns === undefined ? undefined : netnsPath(options.netns);
  const cgroup = join(resolveCgroupRoot(place), `kmesh-exec-${process.pid}-${env.now().toString(36)}`);
  mkdirSync(cgroup);
  try {
    await enrollCgroup(env, { place, cgroup, workload, ...(netns === undefined ? {} : { netns }), dryRun: false });
    try {
      return { exitCode: await run(options.command, cgroup, netns) };
    } finally {
      await unenrollCgroup(env, { place, cgroup, dryRun: false });
    }
  } finally {
    await removeCgroup(cgroup);
  }
}
