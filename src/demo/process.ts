// SPDX-License-Identifier: Apache-2.0
// Child processes: one that is run to its end, and one that stays until it is stopped.
import { type ChildProcess, spawn } from 'node:child_process';
import { type ErrorCode, KmeshError } from '../errors.ts';

/**
 * Runs a command to its end and returns its stdout.
 *
 * @throws KmeshError with `code`, naming the command and what it wrote to stderr.
 */
export function runCommand(code: ErrorCode, command: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (part: Buffer) => out.push(part));
    child.stderr.on('data', (part: Buffer) => err.push(part));
    // A command that does not read its input closes the pipe: its exit code says what matters.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('error', (cause) => {
      const hint = "Debian's iproute2 has ip, util-linux has nsenter and umount";
      reject(new KmeshError(code, `cannot run "${command}": ${cause.message}`, { hint, cause }));
    });
    child.on('close', (status, signal) => {
      if (status === 0) {
        resolve(Buffer.concat(out).toString());
        return;
      }
      const said = Buffer.concat(err).toString().trim().replaceAll('\n', '; ');
      const how = signal ? `killed by ${signal}` : `exit ${status}`;
      reject(new KmeshError(code, `"${[command, ...args].join(' ')}" failed (${how})${said ? `: ${said}` : ''}`));
    });
  });
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child that runs until it ends by itself or is stopped. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** SIGTERM, and SIGKILL when it is still there after `graceMs` (default 2000). Resolves once it has ended. */
  stop(graceMs?: number): Promise<Ended>;
}

/** Follows a child that was just spawned. @throws (by `ended`) never: a command that cannot start ends with code 127. */
export function follow(child: ChildProcess): Running {
  let over: Ended | undefined;
  const ended = new Promise<Ended>((resolve) => {
    const finish = (end: Ended) => {
      over = end;
      resolve(end);
    };
    child.once('error', () => finish({ code: 127, signal: null }));
    child.once('exit', (code, signal) => finish({ code, signal }));
  });
  return {
    child,
    ended,
    async stop(graceMs = 2000) {
      if (over) return over;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      try {
        return await ended;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
