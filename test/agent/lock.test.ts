// SPDX-License-Identifier: Apache-2.0
// The lock between real processes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lockHolder, openLock, takeLock, withLock } from '../../src/agent/lock.ts';

let folder = '';
let runDir = '';
let script = '';
const children: ChildProcess[] = [];

beforeAll(async () => {
  // Inside the project, so that the child finds the packages that are not bundled.
  folder = mkdtempSync(join(import.meta.dirname, '.lock-'));
  script = join(folder, 'child.mjs');
  const source = join(import.meta.dirname, '../../src/agent/lock.ts');
  await build({
    stdin: { contents: `export * from ${JSON.stringify(source)}`, resolveDir: folder, loader: 'ts' },
    outfile: join(folder, 'lock.mjs'),
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'km-lock-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(runDir, { recursive: true, force: true });
});

/** A process that runs `body` with the lock's functions in scope; resolves at its first line of output. */
async function start(body: string): Promise<ChildProcess> {
  writeFileSync(script, `import { takeLock, withLock, openLock } from './lock.mjs';\n${body}\n`);
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

const hold = () =>
  start(`await takeLock(${JSON.stringify(runDir)}, { command: 'kmeshctl upgrade' });
    console.log('held'); setInterval(() => {}, 1000);`);

describe('lock', () => {
  it('is refused with the holder named, and free again as soon as the holder is killed', async () => {
    const child = await hold();
    const refused = takeLock(runDir, { command: 'kmeshctl load', waitMs: 60 });
    await expect(refused).rejects.toMatchObject({
      code: 'KM_BUSY',
      message: `process ${child.pid} (kmeshctl upgrade) holds "${join(runDir, 'lock')}"`,
    });
    expect(lockHolder(runDir, 'lock')).toEqual({ pid: child.pid, command: 'kmeshctl upgrade' });
    const waiting = takeLock(runDir, { command: 'kmeshctl load', waitMs: 5_000 });
    child.kill('SIGKILL');
    (await waiting).release();
    expect(lockHolder(runDir, 'lock')).toBeUndefined();
  });

  it('keeps the work of two processes apart', async () => {
    const file = join(runDir, 'count');
    writeFileSync(file, '0');
    const work = `
      import { readFileSync, writeFileSync } from 'node:fs';
      console.log('begun');
      for (let i = 0; i < 50; i++) {
        await withLock(${JSON.stringify(runDir)}, { command: 'count' }, async () => {
          const n = Number(readFileSync(${JSON.stringify(file)}, 'utf8'));
          await new Promise((done) => setImmediate(done));
          writeFileSync(${JSON.stringify(file)}, String(n + 1));
        });
      }
      process.exit(0);`;
    const child = await start(work);
    for (let i = 0; i < 50; i++) {
      await withLock(runDir, { command: 'count' }, async () => {
        const n = Number(readFileSync(file, 'utf8'));
        await new Promise((done) => setImmediate(done));
        writeFileSync(file, String(n + 1));
      });
    }
    if (child.exitCode === null) await once(child, 'exit');
    expect(readFileSync(file, 'utf8')).toBe('100');
  });

  it('is released when the work fails, and can be taken and given back many times', async () => {
    await expect(withLock(runDir, { command: 'a' }, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    const lock = openLock(runDir, 'lock');
    for (let i = 0; i < 3; i++) {
      expect(lock.tryTake('kmeshctl agent')).toBe(true);
      expect(lock.changedHands).toBe(i === 0);
      expect(lockHolder(runDir, 'lock')).toEqual({ pid: process.pid, command: 'kmeshctl agent' });
      lock.release();
    }
    lock.close();
    expect(statSync(join(runDir, 'lock')).mode & 0o777).toBe(0o600);
  });

  it('locks the file that is there now when the run directory was removed in between', async () => {
    const mine = openLock(runDir, 'lock');
    expect(mine.tryTake('first')).toBe(true);
    mine.release();
    rmSync(runDir, { recursive: true });
    const child = await hold();
    expect(mine.tryTake('first')).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(mine.tryTake('first')).toBe(true);
    expect(mine.changedHands).toBe(true);
    mine.close();
  });

  it("says of the agent's lock that an agent runs", async () => {
    const first = await takeLock(runDir, { name: 'agent.lock', command: 'kmeshctl agent' });
    const second = takeLock(runDir, { name: 'agent.lock', command: 'kmeshctl agent', waitMs: 0 });
    await expect(second).rejects.toMatchObject({ code: 'KM_AGENT_RUNNING' });
    first.release();
  });

  it('names the path when it cannot be opened', async () => {
    writeFileSync(join(runDir, 'file'), '');
    await expect(takeLock(join(runDir, 'file'), { command: 'x' })).rejects.toMatchObject({ code: 'KM_IO' });
  });
});
