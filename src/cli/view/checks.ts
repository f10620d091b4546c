// SPDX-License-Identifier: Apache-2.0
// Findings of the doctor, grouped.
import type { Check, CheckResult } from '../../tasks/check.ts';
import type { Block, Tone } from '../spec.ts';

const tones: Readonly<Record<Check['state'], Tone>> = { ok: 'good', warning: 'warn', failed: 'bad' };

export function* viewChecks({ ok, groups }: CheckResult): Generator<Block> {
  for (const { title, checks } of groups) {
    yield {
      kind: 'table',
      title,
      head: ['STATE', 'CHECK', 'FOUND', 'WHAT TO DO'],
      rows: checks.map(({ what, state, detail = '', hint = '' }) => [
        { text: state, tone: tones[state] },
        what,
        detail,
        hint,
      ]),
    };
  }
  const warnings = groups.flatMap(({ checks }) => checks).filter(({ state }) => state === 'warning').length;
  if (ok) yield { kind: 'line', text: warnings === 0 ? 'all is well' : 'nothing failed', tone: 'good' };
}
