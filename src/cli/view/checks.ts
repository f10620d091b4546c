// SPDX-License-Identifier: Apache-2.0
// Findings of the doctor, grouped.
import type { Block, Tone } from '../spec.ts';

export interface Checks {
  readonly ok: boolean;
  readonly groups: readonly {
    readonly title: string;
    readonly checks: readonly {
      readonly what: string;
      readonly state: 'ok' | 'warning' | 'failed';
      readonly detail?: string;
      readonly hint?: string;
    }[];
  }[];
}

const tones: Readonly<Record<string, Tone>> = { ok: 'good', warning: 'warn', failed: 'bad' };

export function* viewChecks({ groups }: Checks): Generator<Block> {
  for (const { title, checks } of groups) {
    yield {
      kind: 'table',
      title,
      head: [],
      rows: checks.map(({ what, state, detail, hint }) => [
        { text: state, tone: tones[state] ?? 'dim' },
        what,
        [detail, hint].filter(Boolean).join('; '),
      ]),
    };
  }
}
