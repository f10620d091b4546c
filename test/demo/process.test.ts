// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { follow, runCommand } from '../../src/demo/process.ts';

const missing = '/no/such/command';

test('a command gives its output, and gets its input', async () => {
  expect(await runCommand('KM_IO', 'cat', [], 'some text')).toBe('some text');
});

test('a command that fails is named, with what it said', async () => {
  const failing = runCommand('KM_NETNS', 'sh', ['-c', 'echo one >&2; echo two >&2; exit 3']);
  await expect(failing).rejects.toMatchObject({
    code: 'KM_NETNS',
    message: '"sh -c echo one >&2; echo two >&2; exit 3" failed (exit 3): one; two',
  });
  await expect(runCommand('KM_IO', 'sh', ['-c', 'kill -9 $$'])).rejects.toThrow('(killed by SIGKILL)');
});

test('a command that is not there says what has it', async () => {
  await expect(runCommand('KM_IO', missing, [])).rejects.toMatchObject({
    message: `cannot run "${missing}": spawn ${missing} ENOENT`,
    hint: expect.stringContaining('iproute2'),
  });
});

test('what runs is stopped, by force when it does not listen', async () => {
  const gentle = follow(spawn('sleep', ['60']));
  expect(await gentle.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  expect(await gentle.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  const deaf = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done']);
  await new Promise((ready) => deaf.stdout.once('data', ready));
  expect(await follow(deaf).stop(50)).toEqual({ code: null, signal: 'SIGKILL' });
  expect(await follow(spawn(missing)).ended).toEqual({ code: 127, signal: null });
});
