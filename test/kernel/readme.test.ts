// SPDX-License-Identifier: Apache-2.0
// The first steps of README.md, as they are written there.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCgroup, removeCgroupTree } from '../../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { openPlace } from '../support/instance.ts';
import { bin } from '../support/machine.ts';

const project = join(import.meta.dirname, '../..');
const started: ChildProcess[] = [];
let commands: string;
let root: string;
let env: NodeJS.ProcessEnv;
let close: () => Promise<void>;

beforeAll(async () => {
  commands = mkdtempSync(join(tmpdir(), 'km-readme-'));
  symlinkSync(bin, join(commands, 'kmeshctl'));
  // In place of curl, which not every machine has, and which proxies of the environment would lead astray.
  const fetched = 'fetch(process.argv.at(-1)).then((answer) => answer.text()).then(console.log)';
  writeFileSync(join(commands, 'curl'), `#!/bin/sh\nexec '${process.execPath}' -e '${fetched}' -- "$@"\n`);
  chmodSync(join(commands, 'curl'), 0o755);
  root = join(cgroupMount(), `km-readme-${process.pid}`);
  await makeCgroup(root);
  const opened = await openPlace(root);
  close = opened.close;
  const { bpffs, runDir } = opened.place;
  const place = { KMESH_BPFFS: bpffs, KMESH_RUN_DIR: runDir, KMESH_CGROUP_ROOT: root };
  env = { ...process.env, ...place, PATH: `${commands}:${process.env.PATH}` };
});
afterAll(async () => {
  await stop();
  await run('kmeshctl unload --force');
  await close();
  await removeCgroupTree(root);
  rmSync(commands, { recursive: true, force: true });
});

async function stop(): Promise<void> {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  }
}

function run(line: string): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  return new Promise((resolve) => {
    execFile('bash', ['-c', line], { cwd: project, env }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

/** Says what the last try said when it never goes well. */
async function soon(line: string, expected: string): Promise<string> {
  let last = await run(line);
  for (let tries = 0; tries < 100 && !(last.code === 0 && last.out.includes(expected)); tries++) {
    await pause(200);
    last = await run(line);
  }
  return last.code === 0 ? last.out : last.err;
}

/** What the output of a line has to have, by how the line begins. */
const outputs: readonly (readonly [string, string])[] = [
  ['kmeshctl load', 'loaded kmeshctl'],
  ['kmeshctl exec', 'first/'],
  ['kmeshctl explain', '127.0.0.1:18080'],
  ['kmeshctl status', 'ready'],
];

test('a first service: load, agent, a command in the mesh, explain, status, and nothing is left', async () => {
  const blocks = readFileSync(join(project, 'README.md'), 'utf8').matchAll(/^```sh\n(.*?)^```$/gms);
  const block = [...blocks].find(([, text]) => text?.includes('docs/examples/first'))?.[1] ?? '';
  const lines = block.split('\n').map((line) => line.replace(/\s+# .*$/, ''));
  const seen: string[] = [];
  for (const line of lines.filter((text) => text !== '')) {
    if (line.endsWith(' &')) {
      started.push(spawn('bash', ['-c', `exec ${line.slice(0, -2)}`], { cwd: project, env, stdio: 'ignore' }));
    } else if (line.startsWith('kill %1 %2 && wait && ')) {
      await stop();
      expect(await run(line.slice('kill %1 %2 && wait && '.length))).toMatchObject({ code: 0, out: 'unloaded\n' });
    } else {
      const [begin, expected] = outputs.find(([start]) => line.startsWith(start)) ?? [
        line,
        'a line that is known here',
      ];
      expect(await soon(line, expected)).toContain(expected);
      seen.push(begin);
    }
  }
  expect(seen).toEqual(outputs.map(([begin]) => begin));
});
