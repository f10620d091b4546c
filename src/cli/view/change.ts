// SPDX-License-Identifier: Apache-2.0
// What a change did in one line; what a dry run would do, step by step.
import type { ChangeResult } from '../../tasks/change.ts';
import type { Block } from '../spec.ts';

export function* viewChange(result: ChangeResult): Generator<Block> {
  if (result.dryRun) {
    const rows = result.steps.map(({ action, what, detail }) => [action, what, detail ?? '']);
    yield { kind: 'table', head: ['WOULD', 'WHAT', ''], rows, none: 'nothing to do' };
  }
  yield { kind: 'line', text: result.summary, tone: result.dryRun ? 'dim' : 'good' };
}
