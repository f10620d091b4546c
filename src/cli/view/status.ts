// SPDX-License-Identifier: Apache-2.0
// Everything at a glance.

import { counted } from '../../errors.ts';
import type { AgentStatus, Status } from '../../tasks/status.ts';
import type { Block, Cell, Tone } from '../spec.ts';
import { viewXds } from './xds.ts';

/** Fill at which a map is shown as a worry: the agent grows it a little before it is full. */
const worry = 90;

const fillTone = (percent: number): Tone | undefined => (percent >= worry ? 'bad' : undefined);

const toned = (text: string, tone: Tone | undefined): Cell => (tone === undefined ? text : { text, tone });

const time = (ms: number): string => new Date(ms).toISOString();

function loadedRow({ loaded }: Status): Cell {
  if (loaded === undefined) return { text: 'nothing ("kmeshctl load" loads the programs)', tone: 'warn' };
  return `kmeshctl ${loaded.version} (${loaded.hash.slice(0, 12)}), since ${loaded.loadedAt}`;
}

function agentRow({ agent, agentFault }: Status): Cell {
  if (agentFault !== undefined) return { text: `${agentFault.code}: ${agentFault.message}`, tone: 'bad' };
  if (agent === undefined) return { text: 'none', tone: 'dim' };
  const what = `kmeshctl ${agent.version}, pid ${agent.pid}, node ${agent.node}, since ${time(agent.since)}`;
  return agent.ready ? { text: `ready: ${what}`, tone: 'good' } : { text: `not ready: ${what}`, tone: 'bad' };
}

function sourceText({ name, complete, files, objects, xds }: AgentStatus['sources'][number]): string {
  if (!complete) return xds === undefined ? `${name}: still being read` : `${name}: has not told everything yet`;
  const held = counted(objects, 'object');
  return xds === undefined ? `${name}: ${counted(files, 'file')}, ${held}` : `${name}: ${held}`;
}

function demandText({ addresses, waiting, onMiss, known }: NonNullable<AgentStatus['demand']>): string {
  const meanwhile = { direct: 'first connections go direct', refuse: 'first connections are refused' }[onMiss];
  const times = `${known.p50.toFixed(1)} ms (median), ${known.max.toFixed(1)} ms (longest)`;
  const unanswered = waiting > 0 ? `, ${waiting} without an answer` : '';
  return `${counted(addresses, 'address', 'addresses')}${unanswered}; ${meanwhile}${known.count > 0 ? `; known after ${times}` : ''}`;
}

function authzFacts({ pods, stale, refused, deniesLess, denials, rechecks }: NonNullable<AgentStatus['authz']>) {
  const judged = `${counted(pods.on, 'cgroup')} judged, ${pods.off} not`;
  const waiting = `; nothing gets into ${counted(pods.pending, 'cgroup')} whose policies are not in the kernel yet`;
  const rows: [string, Cell][] = [
    ['authorization', pods.pending === 0 ? judged : { text: `${judged}${waiting}`, tone: 'warn' }],
  ];
  const policies = (title: string, tone: Tone, list: readonly string[]): void => {
    if (list.length > 0) rows.push([title, { text: list.join(', '), tone }]);
  };
  policies('closing policies', 'bad', refused);
  policies('stale policies', 'warn', stale);
  policies('deny too little', 'warn', deniesLess);
  const { seen, suppressed, lost } = denials;
  if (seen + lost > 0)
    rows.push(['denied', `${seen} recorded (${suppressed} of them not logged), ${lost} not recorded`]);
  if (rechecks.destroyed > 0) rows.push(['ended', `${counted(rechecks.destroyed, 'connection')} not allowed any more`]);
  return rows;
}

function agentFacts(agent: AgentStatus): [string, Cell][] {
  const { lastApply, heal, lag } = agent;
  const rows: [string, Cell][] = [
    ...agent.sources.map((source): [string, Cell] => ['source', sourceText(source)]),
    ['services', agent.services],
    ['workloads', agent.workloads],
    ...(agent.policies === 0 ? [] : [['policies', agent.policies] satisfies [string, Cell]]),
    ...agent.notReady.map((reason): [string, Cell] => ['not ready', { text: reason, tone: 'bad' }]),
  ];
  if (agent.writeFault !== undefined) rows.push(['kernel write', { text: agent.writeFault, tone: 'bad' }]);
  if (lastApply !== undefined) {
    const { changes, operations, milliseconds, at } = lastApply;
    rows.push([
      'last change',
      `${time(at)}: ${counted(changes, 'change')}, ${counted(operations, 'write')}, ${milliseconds.toFixed(1)} ms`,
    ]);
  }
  if (agent.demand !== undefined) rows.push(['on demand', demandText(agent.demand)]);
  if (agent.authz !== undefined) rows.push(...authzFacts(agent.authz));
  if (agent.waypointAds !== undefined) {
    const { address, tls } = agent.waypointAds;
    const how = { none: 'without TLS', server: 'with TLS', mutual: 'with TLS, both ways' }[tls];
    rows.push(['waypoints', `told at ${address} ${how}`]);
    const conditions = Object.entries(agent.waypointConditions ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    if (conditions.length > 0) {
      const text = conditions.map(([reason, count]) => `${count} ${reason}`).join(', ');
      rows.push([
        'routes',
        { text: `not all have effect: ${text} ("kmeshctl waypoint status" says which)`, tone: 'warn' },
      ]);
    }
  }
  if (agent.queue > 0) rows.push(['on their way', counted(agent.queue, 'change')]);
  const repaired = `${counted(heal.comparisons, 'comparison')}, ${counted(heal.repairedEntries, 'entry', 'entries')} repaired`;
  rows.push(['self-heal', toned(repaired, heal.repairedEntries > 0 ? 'warn' : undefined)]);
  for (const { map, from, to, at } of agent.growth) rows.push(['grown', `${map} from ${from} to ${to} at ${time(at)}`]);
  rows.push(['event loop', `${lag.mean} ms late on average in the last minute, ${lag.max} ms at most`]);
  rows.push(['log level', agent.logLevel]);
  return rows;
}

function* remarks(title: string, tone: Tone, list: AgentStatus['faults']): Generator<Block> {
  if (list.length === 0) return;
  yield {
    kind: 'table',
    title: `${title} (${list.length})`,
    head: ['PLACE', 'RESOURCE', 'FIELD', 'REASON'],
    rows: list.map(({ place, resource, field, reason }) => [place, resource, field, { text: reason, tone }]),
  };
}

function* ignored(list: AgentStatus['ignored']): Generator<Block> {
  if (list.length === 0) return;
  yield {
    kind: 'table',
    title: 'Not read',
    head: ['WHAT', 'TIMES', 'FIRST MET'],
    rows: list.map(({ what, count, place }) => [what, count, place]),
  };
}

export function* viewStatus(status: Status): Generator<Block> {
  const { loaded, agent, kernelFault } = status;
  const rows: [string, Cell][] = [
    ['loaded', loadedRow(status)],
    ['agent', agentRow(status)],
  ];
  if (kernelFault !== undefined) {
    rows.push(['maps', { text: `${kernelFault.code}: ${kernelFault.message}`, tone: 'bad' }]);
  } else if (loaded !== undefined) rows.push(['enrolled', counted(status.enrolled, 'cgroup')]);
  yield { kind: 'facts', rows };
  if (agent !== undefined) {
    yield { kind: 'facts', title: 'Agent', rows: agentFacts(agent) };
    for (const source of agent.sources) yield* viewXds(source, agent.demand);
    yield* remarks('Refused', 'bad', agent.faults);
    yield* remarks('Warnings', 'warn', agent.warnings);
    yield* ignored(agent.ignored);
  }
  if (loaded === undefined) return;
  yield {
    kind: 'table',
    title: 'Programs',
    head: ['NAME', 'ID', 'ATTACHED'],
    rows: status.programs.map(({ name, id, attached }) => [name, id, attached ? 'yes' : 'when needed']),
  };
  yield {
    kind: 'table',
    title: 'Maps',
    head: ['NAME', 'USED', 'SIZE', 'FILL', 'FRAGMENTATION'],
    rows: status.maps.map(({ name, used, size, percent, fragmentation }) => [
      name,
      used,
      size,
      toned(`${percent} %`, fillTone(percent)),
      fragmentation === undefined ? undefined : fragmentation.toFixed(2),
    ]),
  };
  yield {
    kind: 'table',
    title: 'Counted by the programs',
    head: ['REASON', 'TIMES'],
    rows: status.reasons.map(({ reason, count }) => [reason, count]),
    none: 'nothing yet',
  };
}
