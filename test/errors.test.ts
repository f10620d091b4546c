// SPDX-License-Identifier: Apache-2.0
// The catalogue of error codes: as documented, and none that nothing throws.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errorCodes } from '../src/errors.ts';

const root = join(import.meta.dirname, '..');
const source = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && file !== 'errors.ts')
  .map((file) => readFileSync(join(root, 'src', file), 'utf8'))
  .join('\n');

const codes = Object.entries(errorCodes);

test('docs/errors.md says of each code what the catalogue says', () => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  const documented = [...page.matchAll(/^\| `(KM_[A-Z_]+)` \| (.*) \|$/gm)].map((match) => [match[1], match[2]]);
  expect(documented).toEqual(codes);
});

test('every code is used, unless it is retired', () => {
  const live = codes.filter(([, meaning]) => !meaning.includes('retired')).map(([code]) => code);
  expect(live.filter((code) => !source.includes(`'${code}'`))).toEqual([]);
});
