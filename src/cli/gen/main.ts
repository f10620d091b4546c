// SPDX-License-Identifier: Apache-2.0
// `npm run gen`: writes what is generated and kept. With --check it writes nothing and fails, naming every stale file.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { program } from '../program.ts';
import { staleFiles, wantedFiles } from './files.ts';

const root = process.cwd();
const wanted = wantedFiles(root, program);
const stale = staleFiles(root, wanted);

if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    process.stderr.write(`stale, run "npm run gen" and commit:\n${stale.map((path) => `  ${path}\n`).join('')}`);
    process.exitCode = 1;
  } else process.stdout.write(`${wanted.size} generated files are as they should be\n`);
} else {
  for (const path of stale) {
    const text = wanted.get(path);
    if (text === undefined) {
      rmSync(join(root, path));
      continue;
    }
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  process.stdout.write(`${stale.length} of ${wanted.size} generated files written\n`);
}
