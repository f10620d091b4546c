// SPDX-License-Identifier: Apache-2.0
// Runs a table: each row over IPv4 and IPv6, and what is said of each route.
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RouteCondition } from '../../../src/admin/waypoint.ts';
import { withEnvoy } from '../envoy.ts';
import {
  type Behaviour,
  type Gets,
  getsOf,
  type Headers,
  keyOf,
  ownService,
  type PodName,
  type Row,
  routesOf,
  rowName,
  type Shares,
} from './table.ts';
import { openWorld, type Reply, type World, type WorldOptions } from './world.ts';

const usualPort = { http: 80, websocket: 80, h2: 80, grpc: 7070, https: 443, tcp: 9090 } as const;

/** Rows of these tables run in one world. */
export function tableContract(name: string, behaviours: readonly Behaviour[], options: WorldOptions = {}): void {
  withEnvoy(name, () => {
    let world: World;
    beforeAll(async () => {
      world = await openWorld(behaviours, options);
    });
    afterAll(() => world?.close());

    for (const behaviour of behaviours) {
      describe.concurrent(behaviour.test, () => {
        for (const row of behaviour.rows) {
          test(rowName(row), async () => {
            const [four, six] = await Promise.all(
              [4, 6].map((family) => outcome(world, behaviour, row, family as 4 | 6)),
            );
            expect({ four, six }).toEqual({ four: getsOf(row), six: getsOf(row) });
          });
        }
        if (routesOf(behaviour).length > 0) {
          test('conditions', async () => {
            const [want, got] = [wantedConditions(behaviour), await world.conditions()];
            const told = Object.keys(want).map((key) => [key, (got.get(key) ?? []).map(conditionText)]);
            expect(Object.fromEntries(told)).toEqual(want);
          });
        }
      });
    }
  });
}

const conditionText = ({ type, status, reason }: RouteCondition): string => [type, status, reason].join(' ');

function wantedConditions(behaviour: Behaviour): Record<string, readonly string[]> {
  const parts = routesOf(behaviour)
    .filter(({ kind }) => kind !== 'ReferenceGrant')
    .map((route): [string, readonly string[]] => {
      const key = keyOf(behaviour, route);
      const other = behaviour.conditions?.[key] ?? [];
      const usual = ['Accepted True Accepted', 'ResolvedRefs True ResolvedRefs'];
      const has = (type: string) => other.some((text) => text.startsWith(`${type} `));
      return [key, [...usual.filter((text) => !has(text.split(' ')[0] as string)), ...other].sort(byType)];
    });
  return Object.fromEntries(parts);
}

const types = ['Accepted', 'ResolvedRefs', 'PartiallyInvalid'];
const byType = (a: string, b: string): number =>
  types.indexOf(a.split(' ')[0] as string) - types.indexOf(b.split(' ')[0] as string);

interface Body {
  readonly pod?: PodName;
  readonly path?: string;
  readonly host?: string;
  readonly protocol?: string;
  readonly sni?: string;
  readonly peer?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const bodyOf = ({ body }: Reply): Body => (typeof body === 'object' && body !== null ? body : {});

/** What came of a row, of what it looks at. */
async function outcome(world: World, behaviour: Behaviour, row: Row, family: 4 | 6): Promise<Gets> {
  const { as = 'http', to = {}, from = 'client', sni, times } = row;
  const [first = '', second] = row.ask.split(' ');
  const id = randomUUID();
  const service = to.service ?? ownService(behaviour);
  const replies = await world.ask(from, {
    as,
    address: world.address(to.pod ? { pod: to.pod } : { service }, family),
    port: to.port ?? usualPort[as],
    method: second === undefined ? 'GET' : first,
    path: as === 'grpc' ? `/${first}` : (second ?? first),
    headers: { host: to.pod ?? service, 'x-id': id, ...row.with },
    ...(sni !== undefined && { sni }),
    ...(times !== undefined && { times }),
  });
  const reply = replies[0] as Reply;
  const body = bodyOf(reply);
  const wanted = getsOf(row);
  const answered = replies.map((one) => bodyOf(one).pod ?? String(one.status ?? one.error));
  const read: { readonly [K in keyof Gets]-?: () => unknown } = {
    status: () => reply.status ?? reply.error,
    pod: () => body.pod,
    path: () => body.path,
    host: () => body.host,
    protocol: () => body.protocol,
    sni: () => body.sni,
    peer: () => world.nameOf(body.peer ?? ''),
    saw: () => pick(body.headers, wanted.saw),
    named: () => {
      const name = wanted.named?.toLowerCase() ?? '';
      const wrong = replies.filter((one) => bodyOf(one).headers?.[name] !== bodyOf(one).pod);
      return wrong.length === 0 ? wanted.named : wrong;
    },
    headers: () => pick(reply.headers, wanted.headers),
    body: () => reply.body,
    fails: () => (reply.error === undefined ? reply : 'connection'),
    shares: () => about(answered, replies.length, wanted.shares),
    mirrors: () => reaching(() => copies(world, id, replies.length, wanted.mirrors), wanted.mirrors),
    tries: () => reaching(() => world.seen(id).length, wanted.tries),
  };
  const keys = Object.keys(wanted) as (keyof Gets)[];
  return Object.fromEntries(await Promise.all(keys.map(async (key) => [key, await read[key]()]))) as Gets;
}

/** What is there of those that are looked at; what an expression fits is told as the expression itself. */
function pick(all: Readonly<Record<string, string>> | undefined, names: Headers = {}): Headers {
  const parts = Object.entries(names).map(([name, wanted]) => {
    const value = all?.[name.toLowerCase()] ?? null;
    return [name, value !== null && wanted instanceof RegExp && wanted.test(value) ? wanted : value];
  });
  return Object.fromEntries(parts);
}

/** `wanted` itself when what was counted differs no more than chance does: five deviations, which is one failure in millions. */
function about(who: readonly string[], n: number, wanted: Shares = {}): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const one of who) counts[one] = (counts[one] ?? 0) + 1;
  for (const [pod, share] of Object.entries(wanted)) {
    const got = (counts[pod] ?? 0) / n;
    counts[pod] = Math.abs(got - share) <= 5 * Math.sqrt((share * (1 - share)) / n) ? share : got;
  }
  return counts;
}

function copies(world: World, id: string, n: number, wanted: Shares = {}): Record<string, number> {
  return about(
    world.seen(id).filter((pod) => wanted[pod] !== undefined),
    n,
    wanted,
  );
}

/** What pods say they saw comes after the answer: what is read then, or what there is in the end. */
async function reaching<T>(read: () => T, wanted: T): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    const got = read();
    if (isDeepStrictEqual(got, wanted) || performance.now() > end) return got;
    await pause(20);
  }
}
