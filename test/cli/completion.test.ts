// SPDX-License-Identifier: Apache-2.0
// The completion script of bash, asked by bash itself as at the prompt.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { everywhere, spots } from '../../src/cli/completion/words.ts';
import { program } from '../../src/cli/program.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kmesh-completion-'));
  writeFileSync(join(folder, 'kmeshctl.bash'), bashScript(program));
  writeFileSync(join(folder, 'shop.yaml'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What bash would offer; the last word is the one under the cursor. */
function offered(...words: string[]): string[] {
  const script = `
    source ./kmeshctl.bash
    COMP_WORDS=(kmeshctl "$@") COMP_CWORD=$#
    _kmeshctl
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const out = execFileSync('bash', ['--norc', '-c', script, 'bash', ...words], { cwd: folder, encoding: 'utf8' });
  return out.split('\n').filter(Boolean).sort();
}

const tops = [...new Set(program.commands.map(({ path }) => path[0]))].sort();

test('commands, verbs of a topic, and their beginnings', () => {
  expect(offered('')).toEqual(tops);
  expect(offered('--verbose', '')).toEqual(tops);
  expect(offered('--bpffs', '/x', 'u')).toEqual(['unenroll', 'uninstall', 'unload', 'upgrade']);
  expect(offered('dump', '')).toEqual(['config', 'diff', 'maps', 'services', 'workloads']);
  expect(offered('dump', '-o', 'json', 'wo')).toEqual(['workloads']);
  expect(offered('status', '')).toEqual([]);
});

test('flags of the command and those of all', () => {
  expect(offered('load', '--max')).toEqual(['--max-endpoints', '--max-frontends', '--max-services']);
  expect(offered('load', '--dry')).toEqual(['--dry-run']);
  expect(offered('status', '--')).toEqual(
    everywhere
      .flatMap(({ names }) => names)
      .filter((name) => name.startsWith('--'))
      .sort(),
  );
  expect(offered('dump', 'maps', '--r')).toEqual(['--raw', '--run-dir']);
});

test('values: words, files, folders, nothing', () => {
  expect(offered('status', '-o', '')).toEqual(['json', 'table', 'yaml']);
  expect(offered('status', '--output', '=', 'j')).toEqual(['json']);
  expect(offered('status', '--output', '=')).toEqual(['json', 'table', 'yaml']);
  expect(offered('agent', '--log-level', 'd')).toEqual(['debug']);
  expect(offered('agent', '--config', '')).toEqual(['kmeshctl.bash', 'shop.yaml']);
  expect(offered('agent', '--node', '')).toEqual([]);
  expect(offered('--run-dir', '')).toEqual([]);
});

test('arguments: words, files, and repeated ones', () => {
  expect(offered('completion', '')).toEqual(['bash', 'fish', 'zsh']);
  expect(offered('completion', 'bash', '')).toEqual([]);
  expect(offered('dump', 'maps', 'fr')).toEqual(['frontend']);
  expect(offered('dump', 'maps', 'frontend', 'backend', 'cl')).toEqual(['client']);
  expect(offered('validate', 'shop.yaml', 'sh')).toEqual(['shop.yaml']);
});

test('after -- only what the command takes', () => {
  expect(offered('exec', '--workload', 'a/b', '--', 'printen')).toContain('printenv');
  expect(offered('dump', 'maps', '--', '-')).toEqual([]);
});

test('a flag means the same everywhere: with a value or without', () => {
  const kinds = new Map<string, Set<boolean>>();
  for (const { names, value } of [...everywhere, ...spots(program).flatMap(({ flags }) => flags)]) {
    for (const name of names) kinds.set(name, (kinds.get(name) ?? new Set()).add(value !== undefined));
  }
  expect([...kinds].filter(([, seen]) => seen.size > 1)).toEqual([]);
});
