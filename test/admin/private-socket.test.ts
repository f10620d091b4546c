// SPDX-License-Identifier: Apache-2.0
// Sockets that only their owner may open: made whole or not at all.
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makePrivateSocket } from '../../src/admin/private-socket.ts';

let folder: string;
let server: Server;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'km-socket-'));
  server = createServer();
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const listen = (path: string) => new Promise<void>((done) => server.listen(path, done));

test("it is its owner's alone from the first moment on, in the place of one that nobody serves", async () => {
  const path = join(folder, 'agent.sock');
  writeFileSync(path, '');
  let seen: readonly string[] = [];
  await makePrivateSocket(path, async (first) => {
    await listen(first);
    seen = readdirSync(folder);
  });
  expect(seen).toContain('agent.sock');
  expect(statSync(path).isSocket()).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['agent.sock']);
});

test('nothing is left of one that cannot be made', async () => {
  const path = join(folder, 'agent.sock');
  const refusing = makePrivateSocket(path, async () => {
    throw new Error('no');
  });
  await expect(refusing).rejects.toMatchObject({ code: 'KM_IO', message: `socket "${path}" could not be made: no` });
  expect(readdirSync(folder)).toEqual([]);
});

test('one that no client could name is not made', async () => {
  const path = join(folder, 'x'.repeat(108));
  await expect(makePrivateSocket(path, listen)).rejects.toMatchObject({
    code: 'KM_IO',
    hint: 'choose a shorter --run-dir',
  });
  expect(readdirSync(folder)).toEqual([]);
});
