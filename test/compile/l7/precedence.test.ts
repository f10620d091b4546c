// SPDX-License-Identifier: Apache-2.0
// Which rule a request meets: what is made for Envoy, read as Envoy reads it, against the words of the Gateway API taken one by one.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type * as envoy from '../../../src/compile/l7/envoy.ts';
import { envoyRoutes } from '../../../src/compile/l7/http.ts';
import type { GrpcMatch, GrpcRoute, HttpMatch, HttpRoute, NamedMatch } from '../../../src/mesh/route.ts';

interface Request {
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
}

const attached = (route: HttpRoute | GrpcRoute) => ({
  route,
  targets: new Map(route.rules.flatMap(({ backends }) => backends.map((backend) => [backend, 'c'] as const))),
  sticky: [],
});

/** First match wins, as in Envoy. */
function chosenByEnvoy(routes: readonly envoy.EnvoyRoute[], request: Request): string | undefined {
  const text = (matcher: envoy.StringMatcher | undefined, value: string | undefined): boolean => {
    if (value === undefined || matcher === undefined) return false;
    if (matcher.exact !== undefined) return value === matcher.exact;
    return matcher.safeRegex !== undefined && new RegExp(`^(?:${matcher.safeRegex.regex})$`).test(value);
  };
  const fits = ({ match }: envoy.EnvoyRoute): boolean => {
    const { path } = request;
    const hit =
      match.path !== undefined
        ? path === match.path
        : match.safeRegex
          ? new RegExp(`^(?:${match.safeRegex.regex})$`).test(path)
          : match.pathSeparatedPrefix !== undefined
            ? path === match.pathSeparatedPrefix || path.startsWith(`${match.pathSeparatedPrefix}/`)
            : path.startsWith(match.prefix ?? '!');
    const header = (name: string) => (name === ':method' ? request.method : request.headers[name]);
    return (
      hit &&
      (match.headers ?? []).every(({ name, stringMatch }) => text(stringMatch, header(name))) &&
      (match.queryParameters ?? []).every(({ name, stringMatch }) => text(stringMatch, request.query[name]))
    );
  };
  return routes.find(fits)?.name;
}

const named = (list: readonly NamedMatch[], values: Readonly<Record<string, string>>): boolean =>
  list.every(({ kind, name, value }) => {
    const given = values[name];
    if (given === undefined) return false;
    return kind === 'exact' ? given === value : new RegExp(`^(?:${value})$`).test(given);
  });

function httpFits({ path, headers, query, method }: HttpMatch, request: Request): boolean {
  const parts = (text: string) =>
    text.split('/').filter((part, i, all) => part !== '' || (i > 0 && i < all.length - 1));
  const onPath =
    path.kind === 'exact'
      ? request.path === path.value
      : path.kind === 'regex'
        ? new RegExp(`^(?:${path.value})$`).test(request.path)
        : parts(path.value).every((part, i) => request.path.split('/')[i + 1] === part);
  return (
    onPath &&
    named(headers, request.headers) &&
    named(query, request.query) &&
    (method ?? request.method) === request.method
  );
}

interface Candidate {
  readonly route: HttpRoute | GrpcRoute;
  readonly name: string;
  readonly rule: number;
  readonly index: number;
}

/** Each question of the specification in turn leaves only those that are best by it. */
function narrowed<T extends Candidate>(
  candidates: readonly T[],
  questions: readonly ((c: T) => number)[],
): T | undefined {
  let left = candidates;
  for (const question of questions) {
    const best = Math.max(...left.map(question));
    left = left.filter((c) => question(c) === best);
  }
  const [first] = [...left].sort((a, b) => {
    const [x, y] = [`${a.route.namespace}/${a.route.name}`, `${b.route.namespace}/${b.route.name}`];
    return x < y ? -1 : x > y ? 1 : a.rule - b.rule || a.index - b.index;
  });
  return first;
}

const age = (c: Candidate): number => -(c.route.created ?? Number.MAX_SAFE_INTEGER);
const nameOf = (route: HttpRoute | GrpcRoute, rule: number, index: number) =>
  `${route.kind} ${route.namespace}/${route.name} ${rule}.${index}`;

const segment = fc.constantFrom('a', 'b', 'ab');
const path = fc.array(segment, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
const value = fc.constantFrom('x', 'y', 'xy');
const matches = (names: readonly string[]): fc.Arbitrary<NamedMatch[]> =>
  fc.uniqueArray(
    fc.record({
      kind: fc.constantFrom('exact', 'regex'),
      name: fc.constantFrom(...names),
      value: fc.oneof(value, fc.constant('x.*')),
    }),
    { maxLength: 2, selector: ({ name }) => name },
  );
const httpMatch: fc.Arbitrary<HttpMatch> = fc.record(
  {
    path: fc.oneof(
      fc.record({ kind: fc.constant('exact' as const), value: path }),
      fc.record({
        kind: fc.constant('prefix' as const),
        value: fc.oneof(
          path,
          path.map((p) => (p === '/' ? p : `${p}/`)),
        ),
      }),
      fc.record({ kind: fc.constant('regex' as const), value: fc.constantFrom('/a.*', '/[ab]+', '/a/b/?.*') }),
    ),
    headers: matches(['h', 'i']),
    query: matches(['p', 'q']),
    method: fc.constantFrom('GET', 'POST'),
  },
  { requiredKeys: ['path', 'headers', 'query'] },
);
const identity = {
  namespace: fc.constant('shop'),
  name: fc.constantFrom('r', 's', 't', 'u'),
  created: fc.option(fc.constantFrom(1, 2), { nil: undefined }),
};
const httpRoute: fc.Arbitrary<HttpRoute> = fc
  .record({
    ...identity,
    rules: fc.array(fc.array(httpMatch, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ rules, created, ...rest }) => ({
    kind: 'HTTPRoute' as const,
    ...rest,
    ...(created !== undefined && { created }),
    parents: [],
    rules: rules.map((list) => ({ name: '', matches: list, filters: [], backends: [], timeouts: {} })),
  }));
const values = (names: readonly string[]) => fc.dictionary(fc.constantFrom(...names), value, { noNullPrototype: true });
const request: fc.Arbitrary<Request> = fc.record({
  path,
  method: fc.constantFrom('GET', 'POST'),
  headers: values(['h', 'i']),
  query: values(['p', 'q']),
});

test('HTTP: exact path, longest prefix, method, headers, parameters, age, name, order', () => {
  const routes = fc.uniqueArray(httpRoute, { minLength: 1, maxLength: 4, selector: ({ name }) => name });
  fc.assert(
    fc.property(routes, fc.array(request, { minLength: 1, maxLength: 8 }), (all, requests) => {
      const made = envoyRoutes(all.map(attached), 80);
      for (const one of requests) {
        const candidates = all.flatMap((route) =>
          route.rules.flatMap((rule, i) =>
            rule.matches.flatMap((match, index) =>
              httpFits(match, one) ? [{ route, rule: i, index, match, name: nameOf(route, i, index) }] : [],
            ),
          ),
        );
        const best = narrowed(candidates, [
          ({ match }) => ['prefix', 'regex', 'exact'].indexOf(match.path.kind),
          ({ match }) => (match.path.kind === 'prefix' ? match.path.value.replace(/\/$/, '') : match.path.value).length,
          ({ match }) => (match.method === undefined ? 0 : 1),
          ({ match }) => match.headers.length,
          ({ match }) => match.query.length,
          age,
        ]);
        expect(chosenByEnvoy(made, one)).toBe(best?.name);
      }
    }),
    { numRuns: 2000 },
  );
});

const part = fc.constantFrom('', 'a.B', 'a.BB', 'c');
const grpcMatch: fc.Arbitrary<GrpcMatch> = fc
  .record({ service: part, method: fc.constantFrom('', 'Get', 'GetAll'), headers: matches(['h', 'i']) })
  .map(({ service, method, headers }) =>
    service === '' && method === '' ? { headers } : { method: { kind: 'exact' as const, service, method }, headers },
  );
const grpcRoute: fc.Arbitrary<GrpcRoute> = fc
  .record({
    ...identity,
    rules: fc.array(fc.array(grpcMatch, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ rules, created, ...rest }) => ({
    kind: 'GRPCRoute' as const,
    ...rest,
    ...(created !== undefined && { created }),
    parents: [],
    rules: rules.map((list) => ({ name: '', matches: list, filters: [], backends: [] })),
  }));

test('gRPC: characters of service and method, headers, age, name, order', () => {
  const routes = fc.uniqueArray(grpcRoute, { minLength: 1, maxLength: 4, selector: ({ name }) => name });
  const call = fc.record({
    service: fc.constantFrom('a.B', 'a.BB', 'c', 'd'),
    method: fc.constantFrom('Get', 'GetAll', 'Put'),
    headers: values(['h', 'i']),
  });
  fc.assert(
    fc.property(routes, fc.array(call, { minLength: 1, maxLength: 8 }), (all, calls) => {
      const made = envoyRoutes(all.map(attached), 80);
      for (const { service, method, headers } of calls) {
        const candidates = all.flatMap((route) =>
          route.rules.flatMap((rule, i) =>
            rule.matches.flatMap((match, index) => {
              const asked = match.method ?? { service: '', method: '' };
              const fits =
                (asked.service === '' || asked.service === service) &&
                (asked.method === '' || asked.method === method) &&
                named(match.headers, headers);
              return fits ? [{ route, rule: i, index, match, asked, name: nameOf(route, i, index) }] : [];
            }),
          ),
        );
        const best = narrowed(candidates, [
          ({ asked }) => asked.service.length,
          ({ asked }) => asked.method.length,
          ({ match }) => match.headers.length,
          age,
        ]);
        const sent = { path: `/${service}/${method}`, method: 'POST', headers, query: {} };
        expect(chosenByEnvoy(made, sent)).toBe(best?.name);
      }
    }),
    { numRuns: 2000 },
  );
});
