// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { mostFaults, openFaultLog } from '../../src/agent/fault-log.ts';
import { openLog } from '../../src/agent/log.ts';
import type { Report } from '../../src/source/findings.ts';

const report = (...reasons: readonly string[]): Report => ({
  ...{ files: 1, objects: 1, warnings: [], ignored: [] },
  faults: reasons.map((reason) => ({
    file: 'a.yaml',
    line: 3,
    column: 9,
    resource: 'Pod shop/a',
    field: 'spec',
    reason,
  })),
});

function open() {
  const lines: { fault?: string; warning?: string; more?: number }[] = [];
  const look = openFaultLog(
    openLog({ write: (text: string) => void lines.push(JSON.parse(text)) } as never, 'warn', {}),
  );
  return {
    look,
    told: () =>
      lines.splice(0).map(({ fault, warning, more }) => fault ?? (warning === undefined ? more : `warning ${warning}`)),
  };
}

test('every fault is told once, when it comes up', () => {
  const { look, told } = open();
  look([undefined, report('x', 'y')]);
  expect(told()).toEqual(['a.yaml:3:9: Pod shop/a: spec: x', 'a.yaml:3:9: Pod shop/a: spec: y']);
  look([report('z'), report('x', 'y')]);
  expect(told()).toEqual(['a.yaml:3:9: Pod shop/a: spec: z']);
  look([report('z'), report()]);
  look([report('z'), report('x')]);
  expect(told()).toEqual(['a.yaml:3:9: Pod shop/a: spec: x']);
});

test('no more than so many at once', () => {
  const { look, told } = open();
  look([report(...Array.from({ length: mostFaults + 7 }, (_, i) => `fault ${i}`))]);
  const lines = told();
  expect([lines.length, lines.at(-1)]).toEqual([mostFaults + 1, 7]);
});

test('warnings are told as well, each once', () => {
  const { look, told } = open();
  const said = { ...report(), warnings: report('odd', 'near').faults };
  look([said]);
  expect(told()).toEqual(['warning a.yaml:3:9: Pod shop/a: spec: odd', 'warning a.yaml:3:9: Pod shop/a: spec: near']);
  look([{ ...said, warnings: [...said.warnings] }]);
  expect(told()).toEqual([]);
});
