// SPDX-License-Identifier: Apache-2.0
// What is wrong with policies in files, and how they decide.
import { counted } from '../../errors.ts';
import type { CaseResult, CheckPoliciesResult } from '../../tasks/authz/check.ts';
import type { Block, Cell } from '../spec.ts';
import { nearestLines, whyText } from './authz-words.ts';
import { findingLines } from './validation.ts';

function verdictCell({ told, failed }: CaseResult): Cell {
  if (told === undefined) return { text: 'no answer', tone: 'bad' };
  const differs = told.dryRun !== undefined && told.dryRun.verdict !== told.verdict;
  const text = differs ? `${told.verdict} (${told.dryRun?.verdict} with dry runs)` : told.verdict;
  return { text, tone: failed === '' ? 'good' : 'bad' };
}

function* caseTable(cases: readonly CaseResult[]): Generator<Block> {
  if (cases.length === 0) return;
  const named = cases.some(({ name }) => name !== '');
  const expecting = cases.some(({ expect }) => expect !== undefined);
  yield {
    kind: 'table',
    title: 'Cases',
    head: [...(named ? ['CASE'] : []), 'FROM', 'TO', ...(expecting ? ['EXPECTED'] : []), 'VERDICT', 'WHY'],
    rows: cases.map((one) => [
      ...(named ? [one.name] : []),
      one.from,
      one.to,
      ...(expecting ? [one.expect] : []),
      verdictCell(one),
      one.told === undefined ? one.failed : whyText(one.told),
    ]),
  };
  // One question is asked to learn all about its answer.
  const [only, ...others] = cases;
  if (only?.told && others.length === 0) {
    for (const line of nearestLines(only.told)) yield { kind: 'line', text: `nearest: ${line}`, tone: 'dim' };
  }
  for (const { name, place, failed, told } of cases) {
    if (failed === '') continue;
    const text = [place, 'case', name, failed].filter((part) => part !== '').join(': ');
    yield { kind: 'line', text, tone: 'bad' };
    if (told === undefined) continue;
    yield { kind: 'line', text: `  ${whyText(told)}`, tone: 'dim' };
    if (others.length > 0)
      for (const line of nearestLines(told)) yield { kind: 'line', text: `  nearest: ${line}`, tone: 'dim' };
  }
}

export function* viewPolicyCheck(result: CheckPoliciesResult): Generator<Block> {
  const { files, policies, workloads, faults, warnings, cases, unasked } = result;
  yield* findingLines('fault', 'bad', faults);
  yield* findingLines('warning', 'warn', warnings);
  for (const file of unasked) {
    yield { kind: 'line', text: `${file}: is a file of cases, and not asked: give it to --expect`, tone: 'dim' };
  }
  yield* caseTable(cases);
  const failed = cases.filter((one) => one.failed !== '').length;
  const summary = [
    counted(files, 'file'),
    counted(policies, 'policy', 'policies'),
    counted(workloads, 'workload'),
    counted(faults.length, 'fault'),
    counted(warnings.length, 'warning'),
    ...(cases.some(({ expect }) => expect) ? [`${cases.length - failed} of ${cases.length} cases as expected`] : []),
  ];
  yield { kind: 'line', text: summary.join(', '), tone: faults.length + failed === 0 ? 'good' : 'bad' };
}
