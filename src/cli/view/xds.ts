// SPDX-License-Identifier: Apache-2.0
// How the agent stands with its control plane.

import { counted } from '../../errors.ts';
import type { AgentStatus } from '../../tasks/status.ts';
import type { Block, Cell } from '../spec.ts';

type Source = AgentStatus['sources'][number];
type Xds = NonNullable<Source['xds']>;
type Subscription = Xds['types'][number];

const time = (ms: number): string => new Date(ms).toISOString();

const size = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

function connection({ connected, since, lastFault }: Xds): Cell {
  if (connected) return { text: `up since ${time(since)}`, tone: 'good' };
  const why = lastFault === '' ? '' : `: ${lastFault}`;
  return { text: `down since ${time(since)}${why}`, tone: 'bad' };
}

function subscription(type: Subscription): Cell {
  const { held, lastResponseAt, systemVersion, responses, bytes, acks, nacks, rejected } = type;
  if (lastResponseAt === undefined) return { text: 'nothing came yet', tone: 'warn' };
  const version = systemVersion === '' ? '' : `, version ${systemVersion}`;
  const text =
    `${counted(held, 'resource')}, last push ${time(lastResponseAt)}${version}; ` +
    `${counted(responses, 'response')} (${size(bytes)}), ${acks} accepted, ${nacks} refused`;
  return nacks === 0 ? text : { text: `${text} for ${counted(rejected, 'resource')}`, tone: 'warn' };
}

const titles = { address: 'addresses', authorization: 'policies' } as const;

export function* viewXds({ name, xds }: Source, demand: AgentStatus['demand']): Generator<Block> {
  if (xds === undefined) return;
  const rows: [string, Cell][] = [
    ['connection', connection(xds)],
    ['streams', `${xds.streams} opened`],
    ...xds.types.map((type): [string, Cell] => [titles[type.type], subscription(type)]),
  ];
  if (xds.onDemand) rows.push(['on demand', `${counted(xds.demanded, 'name')} asked for, ${xds.absent} not there`]);
  if (demand !== undefined) {
    const { onMiss, addresses, waiting, known } = demand;
    const first = onMiss === 'refuse' ? 'refused' : 'let through';
    rows.push(['dialled', `${counted(addresses, 'address', 'addresses')}, ${waiting} without answer; first ${first}`]);
    if (known.count > 0) {
      rows.push(['known after', `${known.p50.toFixed(1)} ms (median), ${known.p99.toFixed(1)} ms (99 %)`]);
    }
  }
  yield { kind: 'facts', title: `Control plane: ${name}`, rows };
  const refused = xds.types.flatMap((type) => type.refused);
  if (refused.length === 0) return;
  const all = xds.types.reduce((sum, { refusedNow }) => sum + refusedNow, 0);
  yield {
    kind: 'table',
    title: `Refused from ${name} (${all})`,
    head: ['NAME', 'IN EFFECT', 'REASON'],
    rows: refused.map(({ name: resource, kept, faults }) => [
      resource,
      kept ? 'as it was before' : 'nothing',
      { text: faults.join('; '), tone: 'bad' },
    ]),
  };
}
