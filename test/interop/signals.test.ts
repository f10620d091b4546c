// SPDX-License-Identifier: Apache-2.0
// What a signal does to a command that runs for long, and what it finds in place of a file.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { project } from '../support/project.ts';
import { gatewayYaml } from '../support/waypoint-run.ts';

const program = join(project, 'bin/kmeshctl.js');
const patient = { timeout: 60_000, interval: 50 };
let folder = '';
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'km-signals-'));
  mkdirSync(join(folder, 'config'));
  writeFileSync(join(folder, 'config', 'way.yaml'), gatewayYaml());
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function serve(...more: readonly string[]) {
  const words = ['waypoint', 'serve', '--config', join(folder, 'config'), '--listen', '127.0.0.1:0', ...more];
  const started = spawn(process.execPath, [program, ...words, '--run-dir', folder], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child = started;
  let log = '';
  started.stderr.on('data', (part: Buffer) => {
    log += part.toString();
  });
  return { started, ended: once(started, 'close'), log: () => log };
}

test('SIGUSR1 opens no debugger: whoever reaches its port could do what this process may', async () => {
  const { started, ended, log } = serve();
  await vi.waitFor(() => expect(log()).toContain('waypoints are served'), patient);
  started.kill('SIGUSR1');
  // It goes on answering, and has had the time to say that it listens.
  const status = ['waypoint', 'status', '--from', 'node', '--run-dir', folder];
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...status]);
  expect(stdout).toContain('shop/way');
  started.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  expect(log()).not.toContain('Debugger');
}, 120_000);

test('a pipe in place of a certificate is one error, at once', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const { ended, log } = serve('--tls-cert', pipe, '--tls-key', pipe);
  expect(await ended).toEqual([1, null]);
  expect(log().match(/^error .*$/gm)).toEqual([`error KM_IO: certificate file "${pipe}" is a pipe, not a file`]);
}, 120_000);
