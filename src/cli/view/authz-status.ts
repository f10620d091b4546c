// SPDX-License-Identifier: Apache-2.0
// What is judged on this node, and by what.
import type { JudgedRow, PoliciesStatus, PolicyRow } from '../../tasks/authz/status.ts';
import type { Block, Cell, Tone } from '../spec.ts';

const stateTones: Readonly<Record<JudgedRow['enforcement'], Tone>> = { on: 'good', pending: 'bad', off: 'warn' };

function podRow(row: JudgedRow): readonly Cell[] {
  const { workload, cgroup, cgroupId, enforcement, mode, policies, conjunctions, addresses } = row;
  const known = enforcement === 'on';
  return [
    workload === '' ? (cgroup ?? `${cgroupId} (deleted)`) : workload,
    { text: enforcement, tone: stateTones[enforcement] },
    mode === 'closed' ? { text: mode, tone: 'bad' } : mode,
    known ? policies.length : undefined,
    known ? conjunctions : undefined,
    addresses.length === 0 ? undefined : addresses.join(' '),
  ];
}

function policyRow(row: PolicyRow): readonly Cell[] {
  const { policy, action, dryRun, holdsFor, conjunctions, hits, fault } = row;
  return [
    policy,
    `${action.toUpperCase()}${dryRun ? ' (dry run)' : ''}`,
    holdsFor,
    conjunctions,
    hits.denied,
    hits.allowed,
    hits.dryRun,
    { text: fault, tone: fault.startsWith('refused') ? 'bad' : 'warn' },
  ];
}

export function* viewPoliciesStatus({ pods, policies, reasons, agent }: PoliciesStatus): Generator<Block> {
  yield {
    kind: 'table',
    head: ['WORKLOAD', 'ENFORCED', 'MODE', 'POLICIES', 'CONJUNCTIONS', 'ADDRESSES'],
    rows: pods.map(podRow),
    none: 'nothing is enrolled',
  };
  if (policies.length > 0) {
    yield {
      kind: 'table',
      title: 'Policies, and what they decided on this node',
      head: ['POLICY', 'ACTION', 'WORKLOADS', 'CONJUNCTIONS', 'DENIED', 'ALLOWED', 'DRY RUN', ''],
      rows: policies.map(policyRow),
    };
  }
  for (const { workload, closed } of pods) {
    for (const { policy, reason } of closed) {
      yield { kind: 'line', text: `${workload} is closed by ${policy}: ${reason}`, tone: 'bad' };
    }
  }
  if (reasons.length > 0) {
    yield {
      kind: 'table',
      title: 'Counted by the programs',
      head: ['REASON', 'TIMES'],
      rows: reasons.map(({ reason, count }) => [reason, count]),
    };
  }
  if (agent === undefined) return;
  const { seen, suppressed, lost } = agent.denials;
  if (seen + lost > 0) {
    const text = `${seen} denials and dry runs recorded, ${suppressed} of them not logged, ${lost} lost`;
    yield { kind: 'line', text, tone: 'dim' };
  }
}
