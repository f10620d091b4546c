// SPDX-License-Identifier: Apache-2.0
// HTTPRoutes drawn at random, requests for them, and which rule must answer each: worked out from the words of the Gateway API alone.
import fc from 'fast-check';
import type { Behaviour, Route } from './table.ts';

interface Match {
  readonly path?: { readonly type: 'Exact' | 'PathPrefix'; readonly value: string };
  readonly method?: string;
  readonly headers?: readonly Named[];
  readonly queryParams?: readonly Named[];
}

interface Named {
  readonly name: string;
  readonly value: string;
}

interface RandomRoute {
  readonly name: string;
  /** Day of January when it was made. */
  readonly day: number;
  readonly isAway: boolean;
  /** Matches of each rule; none of a rule: everything. */
  readonly rules: readonly (readonly Match[])[];
}

export interface RandomRequest {
  readonly from: 'client' | 'away';
  readonly method: string;
  readonly path: string;
  readonly query: readonly Named[];
  readonly headers: readonly Named[];
}

export interface RandomCase {
  readonly routes: readonly RandomRoute[];
  readonly requests: readonly RandomRequest[];
}

const paths = ['/', '/a', '/a/b', '/a/b/c', '/ab', '/b'] as const;
const methods = ['GET', 'POST', 'PUT'] as const;
const named = (names: readonly string[], max: number) =>
  fc.uniqueArray(fc.record({ name: fc.constantFrom(...names), value: fc.constantFrom('1', '2') }), {
    maxLength: max,
    selector: ({ name }) => name,
  });
const headerNames = ['x-one', 'x-two', 'x-three'];
const queryNames = ['p', 'q'];

/** Absent about as often as not: matches that say little overlap the more. */
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });
const aMatch: fc.Arbitrary<Match> = fc
  .record({
    path: maybe(
      fc.record({ type: fc.constantFrom('Exact' as const, 'PathPrefix' as const), value: fc.constantFrom(...paths) }),
    ),
    method: maybe(fc.constantFrom(...methods)),
    headers: maybe(named(headerNames, 2)),
    queryParams: maybe(named(queryNames, 2)),
  })
  .map((match) => JSON.parse(JSON.stringify(match)) as Match);

const aRoute = (name: string) =>
  fc.record({
    name: fc.constant(name),
    day: fc.integer({ min: 1, max: 3 }),
    isAway: fc.boolean().map((one) => one && name === 'd'),
    rules: fc.array(fc.array(aMatch, { maxLength: 3 }), { minLength: 1, maxLength: 4 }),
  });

const aRequest: fc.Arbitrary<RandomRequest> = fc.record({
  from: fc.constantFrom('client' as const, 'client' as const, 'away' as const),
  method: fc.constantFrom(...methods),
  path: fc.constantFrom(...paths, '/a/', '/a/b/', '/a/x', '/abc', '/c'),
  query: named(queryNames, 2),
  headers: named(headerNames, 3),
});

export const aCase: fc.Arbitrary<RandomCase> = fc.record({
  routes: fc.tuple(aRoute('b'), aRoute('a'), aRoute('d')),
  requests: fc.array(aRequest, { minLength: 25, maxLength: 25 }),
});

/** Each rule answers itself, with its name in the place that it redirects to. */
export function randomBehaviour({ routes }: RandomCase, index: number): Behaviour {
  return {
    test: `random-${index}`,
    says: '',
    rows: [],
    routes: routes.map(
      ({ name, day, isAway, rules }): Route => ({
        name: `random-${index}-${name}`,
        created: `2026-01-0${day}T00:00:00Z`,
        ...(isAway && { namespace: 'away' }),
        spec: JSON.stringify({
          rules: rules.map((matches, rule) => ({
            ...(matches.length > 0 && { matches }),
            filters: [{ type: 'RequestRedirect', requestRedirect: { hostname: `${name}-${rule}` } }],
          })),
        }),
      }),
    ),
  };
}

const hasAll = (wanted: readonly Named[] = [], there: readonly Named[]): boolean =>
  wanted.every((one) => there.some(({ name, value }) => name === one.name && value === one.value));

function holds({ path, method, headers, queryParams }: Match, request: RandomRequest): boolean {
  const { type, value } = path ?? { type: 'PathPrefix', value: '/' };
  const fits =
    type === 'Exact'
      ? request.path === value
      : value === '/' || request.path === value || request.path.startsWith(`${value}/`);
  return (
    fits &&
    (method === undefined || method === request.method) &&
    hasAll(headers, request.headers) &&
    hasAll(queryParams, request.query)
  );
}

/** What comes first, as numbers and texts: smaller ones before larger ones, from left to right. */
function rank(route: RandomRoute, { path, method, headers = [], queryParams = [] }: Match, rule: number) {
  const isExact = path?.type === 'Exact';
  const longest = isExact ? 0 : -(path?.value ?? '/').length;
  const most = [isExact ? 0 : 1, longest, method === undefined ? 1 : 0, -headers.length, -queryParams.length];
  return [...most, route.day, route.name, rule];
}

/** "route-rule" of the rule that must answer; undefined: nothing is found. */
export function answering({ routes }: RandomCase, request: RandomRequest): string | undefined {
  const consumers = routes.filter(({ isAway }) => isAway);
  const isConsumed = request.from === 'away' && consumers.length > 0;
  const found = (isConsumed ? consumers : routes.filter(({ isAway }) => !isAway)).flatMap((route) =>
    route.rules.flatMap((matches, rule) =>
      (matches.length > 0 ? matches : [{}])
        .filter((match) => holds(match, request))
        .map((match) => ({ name: `${route.name}-${rule}`, rank: rank(route, match, rule) })),
    ),
  );
  found.sort((a, b) => {
    const at = a.rank.findIndex((one, i) => one !== b.rank[i]);
    if (at === -1) return 0;
    return (a.rank[at] as number | string) < (b.rank[at] as number | string) ? -1 : 1;
  });
  return found[0]?.name;
}
