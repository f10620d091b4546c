// SPDX-License-Identifier: Apache-2.0
// What is generated and kept.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { zshScript } from '../../src/cli/completion/zsh.ts';
import { staleFiles, wantedFiles } from '../../src/cli/gen/files.ts';
import { manPages } from '../../src/cli/gen/man.ts';
import { docs, readme } from '../../src/cli/gen/markdown.ts';
import { program } from '../../src/cli/program.ts';
import { errorCodes } from '../../src/errors.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kmesh-gen-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const marked = 'before\n<!-- commands -->\nold\n<!-- /commands -->\nafter\n';

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

test('every file that differs, is missing, or should not be there is named', () => {
  write('README.md', readme(program, marked));
  for (const [path, text] of wantedFiles(root, program)) write(path, text ?? '');
  expect(staleFiles(root, wantedFiles(root, program))).toEqual([]);
  write('man/kmeshctl.1', 'edited');
  write('docs/cli/gone.md', 'a command that is no more');
  write('README.md', marked);
  rmSync(join(root, 'completions/kmeshctl.zsh'));
  const wanted = wantedFiles(root, program);
  expect(staleFiles(root, wanted).sort()).toEqual([
    'README.md',
    'completions/kmeshctl.zsh',
    'docs/cli/gone.md',
    'man/kmeshctl.1',
  ]);
  expect(wanted.get('docs/cli/gone.md')).toBeUndefined();
});

test('the table in the README is renewed between its markers only', () => {
  const text = readme(program, marked);
  expect(text.startsWith('before\n<!-- commands -->\n| Command |')).toBe(true);
  expect(text.endsWith('|\n<!-- /commands -->\nafter\n')).toBe(true);
  for (const { path } of program.commands)
    expect(text).toContain(`[\`${path.join(' ')}\`](docs/cli/${path.join('-')}.md)`);
  expect(readme(program, text)).toBe(text);
});

test('man pages: one for each command, none with a line that roff takes for a request', () => {
  const pages = manPages(program);
  expect(pages.size).toBe(program.commands.length + 1);
  for (const text of pages.values()) {
    const requests = text.split('\n').filter((line) => /^[.']/.test(line));
    const known = /^\.(\\"|TH|SH|SS|TP|PP|B|BR|I|RI|RS|RE|nf|fi)( |$)|^\.\\"/;
    expect(requests.filter((line) => !known.test(line))).toEqual([]);
  }
});

test('docs/errors.md lists every code', () => {
  const page = docs(program).get('docs/errors.md') ?? '';
  expect(page.match(/(?<=^\| `)KM_[A-Z_]+/gm)).toEqual(Object.keys(errorCodes));
});

test('zsh forgets flags of commands that stand before the name, and no others', () => {
  const forget = /_kmeshctl_forget_flags\(\) \{\n(.*?)\n\}/s.exec(zshScript(program))?.[1] ?? '';
  const cases = [...forget.matchAll(/^ +\((-[^)]*)\)(.*)/gm)].map(
    ([, names = '', what]) => [names.split('|'), what] as const,
  );
  const [withValue = [], alone = [], early = []] = cases.map(([names]) => names);
  expect(cases.map(([, what]) => what)).toEqual([' (( i += 2 )) ;;', ' (( i++ )) ;;', '', '']);
  expect(withValue).toContain('--output');
  expect(alone).toEqual(expect.arrayContaining(['--output=*', '--verbose', '-h']));
  expect(early).toEqual(expect.arrayContaining(['-n', '--namespace', '--timeout']));
  expect([...withValue, ...alone].filter((name) => early.includes(name))).toEqual([]);
});

test('the scripts of zsh and fish name every command and flag', () => {
  for (const script of [zshScript(program), fishScript(program)]) {
    for (const { path, summary } of program.commands) {
      expect(script).toContain(path.at(-1));
      expect(script).toContain(summary.split(':')[0]?.split("'")[0]);
    }
  }
});

test('the script of bash is sound', () => {
  write('script', wantedFiles(root, program).get('completions/kmeshctl.bash') ?? '');
  expect(execFileSync('bash', ['-n', join(root, 'script')], { encoding: 'utf8' })).toBe('');
});
