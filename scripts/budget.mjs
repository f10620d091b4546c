// SPDX-License-Identifier: Apache-2.0
// Start time of commands that load little, against `node -e 0`, and the size of what is shipped.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tool = join(root, 'bin', 'kmeshctl.js');

/** Most that may be spent: start time as a multiple of node's own, bytes of dist/. */
const limits = { start: 1.5, bytes: 4_000_000 };
const rounds = { least: 15, most: 90 };

const cases = {
  'node -e 0': ['-e', '0'],
  'kmeshctl --help': [tool, '--help'],
  'kmeshctl version --client': [tool, 'version', '--client'],
};

function milliseconds(args) {
  const started = process.hrtime.bigint();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} failed with exit code ${status}`);
  return Number(process.hrtime.bigint() - started) / 1e6;
}

/**
 * The least of several, taken in turns so that a busy moment hits all alike: noise only ever adds. While the machine is too
 * busy to tell, it goes on for some more rounds.
 */
function measure() {
  const best = {};
  for (let round = 0; round < rounds.most; round++) {
    for (const [name, args] of Object.entries(cases)) {
      best[name] = Math.min(best[name] ?? Number.POSITIVE_INFINITY, milliseconds(args));
    }
    const worst = Math.max(...Object.values(best)) / best['node -e 0'];
    if (round + 1 >= rounds.least && worst <= limits.start) break;
  }
  return best;
}

function bytesUnder(folder) {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    bytes += entry.isDirectory() ? bytesUnder(path) : statSync(path).size;
  }
  return bytes;
}

const best = measure();
const base = best['node -e 0'];
let over = false;
for (const [name, time] of Object.entries(best)) {
  const ratio = time / base;
  over ||= ratio > limits.start;
  process.stdout.write(`${name.padEnd(28)} ${time.toFixed(1).padStart(7)} ms  ${ratio.toFixed(2)}x\n`);
}
const bytes = bytesUnder(join(root, 'dist'));
process.stdout.write(`dist/ ${bytes} bytes of at most ${limits.bytes}\n`);
if (over || bytes > limits.bytes) {
  process.stdout.write(`over budget: start at most ${limits.start}x node -e 0, dist at most ${limits.bytes} bytes\n`);
  process.exitCode = 1;
}
