// SPDX-License-Identifier: Apache-2.0
// What is judged on this node, and by what.
import type { JudgedRow, PoliciesStatus, PolicyRow } from '../../tasks/authz/status.ts';
import type { Block, Cell, Tone } from '../spec.ts';
import { wrongDocuments } from './authz-words.ts';

const stateTones: Readonly<Record<JudgedRow['enforcement'], Tone>> = { on: 'good', pending: 'bad', off: 'warn' };

const nameOf = ({ workload, cgroup, cgroupId }: JudgedRow): string =>
  workload === '' ? (cgroup ?? `${cgroupId} (deleted)`) : workload;

/** So many that one policy closes are named; of more only how many. */
const mostNamed = 5;

/** "shop/broken: why" -> what it closes. */
function closedBy(pods: readonly JudgedRow[]): ReadonlyMap<string, readonly string[]> {
  const out = new Map<string, string[]>();
  for (const pod of pods) {
    for (const { policy, reason } of pod.closed) {
      const by = `${policy}: ${reason}`;
      const names = out.get(by);
      if (names) names.push(nameOf(pod));
      else out.set(by, [nameOf(pod)]);
    }
  }
  return out;
}

function podRow(row: JudgedRow): readonly Cell[] {
  const { enforcement, mode, policies, conjunctions, addresses } = row;
  const known = enforcement === 'on';
  return [
    nameOf(row),
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
  for (const [by, names] of closedBy(pods)) {
    const more = names.length - mostNamed;
    const whom = names.slice(0, mostNamed).join(', ') + (more > 0 ? ` and ${more} more` : '');
    yield { kind: 'line', text: `${whom} ${names.length > 1 ? 'are' : 'is'} closed by ${by}`, tone: 'bad' };
  }
  if (pods.some(({ closed, stale }) => closed.length + stale.length > 0)) {
    yield { kind: 'line', text: wrongDocuments, tone: 'dim' };
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
    const text = `${seen} denials and dry runs recorded, ${suppressed} of them not logged, ${lost} not recorded`;
    yield { kind: 'line', text, tone: 'dim' };
  }
}
