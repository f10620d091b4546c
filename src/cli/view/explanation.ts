// SPDX-License-Identifier: Apache-2.0
// Where a connection goes and why.
import { socketAddressText } from '../../net/socket-address.ts';
import type { Candidate, Explanation } from '../../tasks/explain.ts';
import type { Block, Cell, Tone } from '../spec.ts';
import { percentText } from './percent.ts';

const tones: Readonly<Record<Explanation['outcome'], Tone>> = { balanced: 'good', 'left-alone': 'dim', refused: 'bad' };

function fromRow({ from }: Explanation): Cell {
  if (from === undefined) return 'any enrolled client';
  const { cgroup, enrolled, workload } = from;
  const who = workload !== '' && cgroup !== '' ? `${workload} (${cgroup})` : workload || cgroup;
  return enrolled ? who : { text: `${who}, not enrolled`, tone: 'warn' };
}

function facts(explanation: Explanation): [string, Cell][] {
  const {
    address,
    port,
    protocol,
    outcome,
    why,
    service,
    frontend,
    backend,
    waypoint,
    policy,
    affinitySeconds = 0,
    predicted,
  } = explanation;
  const rows: [string, Cell][] = [
    ['from', fromRow(explanation)],
    ['to', `${socketAddressText(address, port)}${protocol === 'udp' ? '/udp' : ''}`],
    ['outcome', { text: `${outcome.replace('-', ' ')}: ${why}`, tone: tones[outcome] }],
  ];
  if (service !== '') rows.push(['service', service]);
  if (frontend !== undefined) rows.push(['frontend', frontend]);
  if (backend !== undefined) rows.push(['backend', backend]);
  if (waypoint !== undefined) rows.push(['through', waypoint]);
  if (policy !== undefined)
    rows.push(['policy', affinitySeconds > 0 ? `${policy}, affinity ${affinitySeconds} s` : policy]);
  if (predicted !== undefined) {
    const { workload, address: at, port: on, because } = predicted;
    rows.push(['goes to', { text: `${workload} ${socketAddressText(at, on)} (${because})`, tone: 'good' }]);
  }
  return rows;
}

const candidateRow = ({ workload, address, port, weight, probability, out }: Candidate): readonly Cell[] => [
  workload,
  address === '' ? undefined : socketAddressText(address, port),
  weight === 0 ? undefined : weight,
  out === '' ? { text: percentText(probability), tone: 'good' } : { text: `out: ${out}`, tone: 'warn' },
];

export function* viewExplanation(explanation: Explanation): Generator<Block> {
  const { candidates, notes, agent } = explanation;
  yield { kind: 'facts', rows: facts(explanation) };
  if (candidates.length > 0) {
    yield {
      kind: 'table',
      title: 'Candidates',
      head: ['WORKLOAD', 'ENDPOINT', 'WEIGHT', 'CHANCE'],
      rows: candidates.map(candidateRow),
    };
  }
  for (const note of notes) yield { kind: 'line', text: note };
  if (!agent) yield { kind: 'line', text: 'no agent answers: why others are out is not known', tone: 'dim' };
}
