// SPDX-License-Identifier: Apache-2.0
// A machine for tests: a real systemd in namespaces and a cgroup of its own. Nothing of this machine is changed or seen by it.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { libc } from '../../src/kernel/libc.ts';

const project = join(import.meta.dirname, '../..');
/** The built program. */
export const bin = join(project, 'bin/kmeshctl.js');
const patienceMs = 90_000;
/** MNT_DETACH of sys/mount.h */
const detach = 2;

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Machine {
  /** The cgroup that everything of it is in. */
  readonly cgroup: string;
  run(program: string, ...words: readonly string[]): Promise<Said>;
  kmeshctl(...words: readonly string[]): Promise<Said>;
  until(check: () => Promise<boolean>): Promise<void>;
  /** Starts it; resolves when nothing is left to be started. */
  boot(): Promise<void>;
  /** Shuts it down; what was written to its disk stays. */
  halt(): Promise<void>;
  close(): Promise<void>;
}

/** Children of a process, of its first thread. */
const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

function removeCgroups(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroups(join(path, entry.name));
  rmdirSync(path);
}

/** Off until boot(). */
export function openMachine(part: string): Machine {
  const state = mkdtempSync(join(tmpdir(), `km-${part}-`));
  const cgroup = join(cgroupMount(), `km-${part}-${process.pid}`);
  // The upper layer of an overlay cannot be on an overlay, which a temporary folder may be.
  if (libc().mount('tmpfs', state, 'tmpfs', 0, null) < 0) throw new Error(`no tmpfs at ${state}: ${libc().errno()}`);
  let shell: ChildProcess | undefined;
  let first = 0;
  let said = '';

  const exec = (program: string, words: readonly string[]): Promise<Said> =>
    new Promise((resolve) => {
      const all = ['-t', String(first), '-a', '--', program, ...words];
      execFile('nsenter', all, { maxBuffer: 1 << 24 }, (error, out, err) =>
        resolve({ code: error ? Number(error.code ?? -1) : 0, out, err }),
      );
    });
  const until: Machine['until'] = async (check) => {
    for (const end = performance.now() + patienceMs; !(await check()); await pause(50)) {
      if (performance.now() > end) throw new Error(`not within ${patienceMs} ms: ${check}; the machine said:\n${said}`);
    }
  };
  const gone = async (): Promise<void> => {
    if (shell && shell.exitCode === null && shell.signalCode === null) await once(shell, 'exit');
    shell = undefined;
  };

  return {
    cgroup,
    run: (program, ...words) => exec(program, words),
    kmeshctl: (...words) => exec(process.execPath, [bin, ...words]),
    until,
    async boot() {
      mkdirSync(cgroup, { recursive: true });
      const script = `echo $$ > "$1/cgroup.procs" && exec unshare -m -p -u -i -n --fork --kill-child bash "$2" "$3" "$4" "$5"`;
      const words = [
        '-c',
        script,
        'bash',
        cgroup,
        join(import.meta.dirname, 'boot.sh'),
        state,
        project,
        process.execPath,
      ];
      shell = spawn('bash', words, { stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [shell.stdout, shell.stderr]) {
        stream?.on('data', (part: Buffer) => {
          said += part.toString();
        });
      }
      const { pid = 0 } = shell;
      await until(async () => {
        first = childrenOf(pid)[0] ?? 0;
        return first > 0 && readFileSync(`/proc/${first}/comm`, 'utf8').trim() === 'systemd';
      });
      const running = /^(running|degraded)$/m;
      await until(async () => running.test((await exec('systemctl', ['is-system-running'])).out));
    },
    async halt() {
      await exec('systemctl', ['halt', '--force']);
      await gone();
      await until(async () => {
        try {
          removeCgroups(cgroup);
          return true;
        } catch {
          return false;
        }
      });
    },
    async close() {
      if (shell) {
        // The first process of a namespace takes all others along.
        if (first > 0) process.kill(first, 'SIGKILL');
        await gone();
      }
      try {
        removeCgroups(cgroup);
      } catch {
        // Never booted, or halted.
      }
      libc().umount2(state, detach);
      rmSync(state, { recursive: true, force: true });
    },
  };
}
