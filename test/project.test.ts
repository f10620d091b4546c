// SPDX-License-Identifier: Apache-2.0
// What holds for the files of the project as such.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

/** Made, fetched or not ours. */
const foreign = new Set(['.git', 'node_modules', 'dist', '.cache', 'coverage']);

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (foreign.has(entry.name)) return [];
    return entry.isDirectory() ? filesUnder(path) : [path];
  });
}

const files = filesUnder('');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const written = files.filter((file) => /\.(ts|mjs|js|c|h|py|sh)$/.test(file));

test('no file is longer than 400 lines', () => {
  const long = written
    .map((file) => [file, read(file).split('\n').length - 1] as const)
    .filter(([, lines]) => lines > 400);
  expect(long).toEqual([]);
});

test('each file says under which licence it is', () => {
  expect(written.filter((file) => !read(file).slice(0, 300).includes('SPDX-License-Identifier: '))).toEqual([]);
});

test('the lock file names no registry', () => {
  expect(read('package-lock.json')).not.toContain('"resolved"');
});

test('nothing names a path of the machine it was written on', () => {
  const path = new RegExp(['/wo', 'rk/|/ro', 'ot/|/tm', 'p/notes|/ho', 'me/[a-z]'].join(''));
  const text = files.filter((file) => !/\.(png|svg|o|lock)$/.test(file) && file !== 'package-lock.json');
  expect(text.filter((file) => path.test(read(file)))).toEqual([]);
});

test('no test is left out, alone or empty', () => {
  const tests = files.filter((file) => file.endsWith('.test.ts') && file !== 'test/project.test.ts');
  const marks = /\b(test|it|describe)(\.\w+)*\.(skip|only|todo|fails)\b|\bx(it|describe)\(/;
  expect(tests.filter((file) => marks.test(read(file)))).toEqual([]);
  // A shared suite brings its own.
  expect(tests.filter((file) => !/expect\(|Contract\(|support\/contract/.test(read(file)))).toEqual([]);
});

test('dependencies are pinned, and each is explained', () => {
  const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
  expect(Object.values(dependencies).filter((range) => !/^\d+\.\d+\.\d+$/.test(range))).toEqual([]);
  const page = read('docs/dependencies.md');
  expect(Object.keys(dependencies).filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
});
