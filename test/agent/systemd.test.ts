// SPDX-License-Identifier: Apache-2.0
// Messages to a service manager, into real datagram sockets that a small child process holds.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serviceManager } from '../../src/agent/systemd.ts';
import { openNotify, unixAddress } from '../../src/kernel/notify.ts';

let folder = '';
let receiver: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'km-notify-'));
});
afterEach(async () => {
  if (receiver && receiver.exitCode === null && receiver.signalCode === null) {
    receiver.kill('SIGKILL');
    await once(receiver, 'exit');
  }
  receiver = undefined;
  rmSync(folder, { recursive: true, force: true });
});

/** A datagram socket at `path` ("@name": abstract); the result waits for so many messages, and a moment for more, and gives all that came. */
async function listen(path: string): Promise<(count: number) => Promise<string[]>> {
  const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
p = sys.argv[1]
s.bind('\\0' + p[1:] if p.startswith('@') else p)
print('bound', flush=True)
while True: print(s.recv(4096).decode().replace('\\n', '|'), flush=True)`;
  receiver = spawn('python3', ['-c', program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  receiver.stdout?.on('data', (part: Buffer) => {
    text += part.toString();
  });
  await once(receiver.stdout as NodeJS.ReadableStream, 'data');
  const heard = () => text.trim().split('\n').slice(1);
  return async (count) => {
    while (heard().length < count) await pause(10);
    await pause(50);
    return heard();
  };
}

function manager(env: Record<string, string>, faults: unknown[] = [], patienceMs = 60_000) {
  return serviceManager({
    patienceMs,
    getenv: (name) => env[name],
    open: openNotify,
    monotonic: () => 7_000_999n,
    pid: 42,
    onFault: (fault) => faults.push(fault),
  });
}

describe('service manager', () => {
  it.each(['path', 'abstract'])('is told of a whole life (%s socket)', async (kind) => {
    const path = kind === 'path' ? join(folder, 'notify') : `@km-notify-${process.pid}`;
    const heard = await listen(path);
    const told = manager({ NOTIFY_SOCKET: path });
    told.status('reading configuration');
    told.started();
    told.started();
    told.status('ready: 3 services');
    told.status('ready: 3 services');
    told.reloading();
    told.reloaded();
    told.stopping();
    expect(await heard(6)).toEqual([
      'STATUS=reading configuration',
      'READY=1',
      'STATUS=ready: 3 services',
      'RELOADING=1|MONOTONIC_USEC=7000',
      'READY=1',
      'STOPPING=1',
    ]);
  });

  it('beats at half the watchdog time, for its own process only', async () => {
    const path = join(folder, 'notify');
    const heard = await listen(path);
    const told = manager({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '40000', WATCHDOG_PID: '42' });
    expect(new Set(await heard(3))).toEqual(new Set(['WATCHDOG=1']));
    told.stopping();
    const { length } = await heard(4);
    const other = manager({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '20000', WATCHDOG_PID: '43' });
    await pause(60);
    other.stopping();
    expect((await heard(length + 1)).slice(length)).toEqual(['STOPPING=1']);
  });

  it('counts as started some time after it was opened, whatever it waits for', async () => {
    const path = join(folder, 'notify');
    const heard = await listen(path);
    const told = manager({ NOTIFY_SOCKET: path }, [], 20);
    told.opened(() => told.status('waiting'));
    await heard(2);
    told.started();
    const other = manager({ NOTIFY_SOCKET: path }, [], 20);
    other.opened();
    other.started();
    const ended = manager({ NOTIFY_SOCKET: path }, [], 20);
    ended.opened();
    ended.stopping();
    await pause(60);
    expect(await heard(4)).toEqual(['STATUS=waiting', 'READY=1', 'READY=1', 'STOPPING=1']);
  });

  it('says nothing without a socket, and reports a deaf one once', () => {
    const faults: unknown[] = [];
    manager({}, faults).started();
    expect(faults).toHaveLength(0);
    const deaf = manager({ NOTIFY_SOCKET: join(folder, 'none') }, faults);
    deaf.started();
    deaf.status('x');
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ code: 'KM_IO' });
  });

  it('writes socket addresses as the kernel reads them', () => {
    expect([...unixAddress('/a')]).toEqual([1, 0, 47, 97, 0]);
    expect([...unixAddress('@a')]).toEqual([1, 0, 0, 97]);
    expect(() => unixAddress('')).toThrow('no name');
    expect(() => unixAddress(`/${'x'.repeat(107)}`)).toThrow('no name');
  });
});
