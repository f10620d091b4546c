// SPDX-License-Identifier: Apache-2.0
// Sums the JSON reports in a folder into one line, "N passed, N failed, N skipped".
// With CI=true a skip that is not named below fails: it would look like a pass.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Full names of tests that may be skipped, each with the reason beside it. */
const allowedSkips = [];

const folder = process.argv[2];
const sum = { passed: 0, failed: 0, skipped: 0 };
const skips = [];

for (const name of readdirSync(folder).sort()) {
  const report = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  for (const file of report.testResults) {
    // A file that cannot even be loaded has no tests to count.
    if (file.status === 'failed' && file.assertionResults.every(({ status }) => status !== 'failed')) sum.failed += 1;
    for (const { status, fullName } of file.assertionResults) {
      if (status === 'passed' || status === 'failed') sum[status] += 1;
      else {
        sum.skipped += 1;
        skips.push(fullName);
      }
    }
  }
}

const unexpected = skips.filter((name) => !allowedSkips.includes(name));
for (const name of unexpected) process.stdout.write(`skipped: ${name}\n`);
if (process.env.CI === 'true' && unexpected.length > 0) {
  process.stdout.write('under CI=true these skips fail the run\n');
  process.exitCode = 1;
}
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped\n`);
