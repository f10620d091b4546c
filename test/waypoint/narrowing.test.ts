// SPDX-License-Identifier: Apache-2.0
// A proxy that refuses parts of what it is told: all others hold, policies at every moment.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { streamChain } from '../../src/compile/l7/chains.ts';
import type * as envoy from '../../src/compile/l7/envoy.ts';
import { ranked } from '../../src/compile/l7/http.ts';
import { matchesAll, type Rbacs } from '../../src/compile/l7/rbac.ts';
import { fieldsOf, inChain, inHost } from '../../src/compile/l7/rbac-places.ts';
import type { Request, Resource, Response, Way } from '../../src/waypoint/messages.ts';
import { openQuality, type Quality } from '../../src/waypoint/quality.ts';
import { openSession, type Session } from '../../src/waypoint/session.ts';
import { emptySnapshot, encoded } from '../../src/waypoint/snapshot.ts';
import { typeUrls } from '../../src/waypoint/types.ts';

/** Contents by name: 0 to 6 are good, 7 to 9 are not. */
interface Wish {
  readonly deny: Readonly<Record<string, number>>;
  readonly allow: Readonly<Record<string, number>>;
  /** Of a route its rules, of a chain the first. */
  readonly others: Readonly<Record<string, readonly number[]>>;
}

const content = (n: number): string => `${n >= 7 ? 'bad' : 'good'}${n}`;
const isGood = (n: number): boolean => n < 7;

function rbacs({ deny, allow }: Wish): Rbacs {
  const rules = (action: 0 | 1, of: Wish['deny']) => ({
    rules: {
      action,
      policies: Object.fromEntries(
        Object.entries(of).map(([name, n]): [string, envoy.RbacPolicy] => [
          `shop/${name}[0]`,
          { permissions: [{ urlPath: { path: { exact: content(n) } } }], principals: [{ any: true }] },
        ]),
      ),
    },
  });
  return {
    ...(Object.keys(deny).length > 0 && { deny: rules(1, deny) }),
    ...(Object.keys(allow).length > 0 && { allow: rules(0, allow) }),
  };
}

function routesOf(wish: Wish): envoy.RouteConfiguration {
  const routes = Object.entries(wish.others).flatMap(([name, rules]) =>
    rules.map((n, i): envoy.EnvoyRoute => {
      const rank = { route: { namespace: 'shop', name }, rule: i, match: 0, specificity: [] };
      return ranked({ name: `HTTPRoute shop/${name} ${i}.0`, match: { path: content(n) } }, rank);
    }),
  );
  const tail = { name: 'service', match: { prefix: '/' } };
  return {
    name: 'x',
    virtualHosts: [{ name: 'x', domains: ['*'], routes: [...routes, tail], ...fieldsOf(rbacs(wish)) }],
  };
}

function listenerOf(wish: Wish): envoy.Listener {
  const chains = Object.entries(wish.others).map(([name, [n = 0]]) => {
    const target = { clusters: [{ name: content(n), weight: 1 }], serverNames: [] };
    return streamChain({ name: '10.0.0.1', ranges: [{ address: '10.0.0.1' }], port: 80 }, name, target, rbacs(wish));
  });
  const address = { socketAddress: { address: '::', portValue: 1 } };
  return {
    ...{ name: 'x', address, listenerFilters: [], filterChains: chains, statPrefix: 'x', trafficDirection: 1 },
  };
}

/** What it uses, by name: contents of policies ('all': closed), and whether somebody is let in only by name; routes or chains. */
interface Used {
  readonly deny: Readonly<Record<string, string>>;
  readonly allow: Readonly<Record<string, string>> | undefined;
}

function policiesOf({ deny, allow }: Rbacs): Used {
  const texts = (rules: envoy.Rbac | undefined): Record<string, string> =>
    Object.fromEntries(
      Object.entries(rules?.policies ?? {}).map(([name, rule]) => [
        name.replace(/^shop\/|\[0\]$/g, ''),
        JSON.stringify(rule) === JSON.stringify(matchesAll) ? 'all' : (rule.permissions[0]?.urlPath?.path.exact ?? ''),
      ]),
    );
  return { deny: texts(deny?.rules), allow: allow?.rules && texts(allow.rules) };
}

const isBad = (value: object): boolean => JSON.stringify(value).includes('"bad');

class ChoosyProxy {
  used: object | undefined;
  version = '';
  /** Of every value that was in use. */
  readonly past: object[] = [];
  readonly #type: 'routes' | 'listeners';
  readonly #way: Way;
  readonly #quality: Quality;
  #session: Session | undefined;
  #waiting: Response[] = [];

  constructor(type: 'routes' | 'listeners', way: Way, quality: Quality = openQuality()) {
    this.#type = type;
    this.#way = way;
    this.#quality = quality;
  }

  get session(): Session {
    return this.#session as Session;
  }

  update(value: envoy.RouteConfiguration | envoy.Listener): Resource {
    const resource = encoded(this.#type, 'x', value);
    const snapshot = { ...emptySnapshot, [this.#type]: new Map([['x', resource]]) };
    if (this.#session) this.#session.update(snapshot);
    else {
      const send = (one: Response) => void this.#waiting.push(one);
      this.#session = openSession({ way: this.#way, quality: this.#quality, send });
      this.#session.update(snapshot);
      this.#ask({ held: new Map(this.version === '' ? [] : [['x', this.version]]) });
    }
    return resource;
  }

  /** Answers so many times, or until nothing is told any more. */
  answer(times = Number.POSITIVE_INFINITY): void {
    for (let i = 0; i < times; i++) {
      const response = this.#waiting.shift();
      if (!response) return;
      expect(i).toBeLessThan(300);
      const [one] = response.resources;
      const error = one && isBad(one.value as object) ? 'it is refused' : undefined;
      if (one && !error) {
        this.used = one.value;
        this.version = one.version;
        this.past.push(one.value as object);
      }
      this.#ask({ nonce: response.nonce, error });
    }
  }

  back(): void {
    this.#session = undefined;
    this.#waiting = [];
  }

  #ask(more: Partial<Request>): void {
    const node = { id: 'x', cluster: 'a/b', metadata: {}, locality: { region: '', zone: '', subzone: '' } };
    const names = this.#way === 'world' || more.nonce === undefined ? ['x'] : [];
    this.session.take({
      ...{ node, hasNode: false, typeUrl: typeUrls[this.#type], names, unsubscribe: [], held: new Map() },
      ...{ nonce: '', error: undefined },
      ...more,
    });
  }
}

const number = fc.integer({ min: 0, max: 9 });
const wish: fc.Arbitrary<Wish> = fc.record({
  deny: fc.dictionary(fc.constantFrom('d1', 'd2', 'd3'), number),
  allow: fc.dictionary(fc.constantFrom('a1', 'a2', 'a3'), number),
  others: fc.dictionary(fc.constantFrom('r1', 'r2', 'r3', 'r4'), fc.array(number, { minLength: 1, maxLength: 3 })),
});
/** Wishes, and how often the proxy answers before the next one is there. */
const history = fc.array(fc.tuple(wish, fc.integer({ min: 0, max: 12 })), { minLength: 1, maxLength: 6 });

const rulesOf = (of: Used, side: 'deny' | 'allow') => (side === 'deny' ? of.deny : (of.allow ?? {}));

/** What is good holds; what is not is as it was or closes. */
function check(used: Used | undefined, now: Wish): void {
  if (!used) return;
  for (const side of ['deny', 'allow'] as const) {
    const rules = rulesOf(used, side);
    for (const [name, n] of Object.entries(now[side])) {
      if (isGood(n)) expect([side, name, rules[name]]).toEqual([side, name, content(n)]);
      // What was refused holds as it was, or keeps everybody out.
      else if (side === 'deny') expect(rules[name]).toMatch(/^(?:good\d|all)$/);
      else expect(rules[name] ?? 'good0').toMatch(/^good\d$/);
    }
    for (const name of Object.keys(rules)) expect(now[side]).toHaveProperty(name);
  }
  if (Object.keys(now.allow).length > 0) expect(used.allow).toBeDefined();
}

describe.each(['delta', 'world'] as const)('%s', (way) => {
  test('routes and policies of a port', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const proxy = new ChoosyProxy('routes', way);
        const last = new Map<string, readonly string[]>();
        for (const [now, times] of steps) {
          proxy.update(routesOf(now));
          proxy.answer(times);
        }
        proxy.answer();
        const [now] = steps.at(-1) as [Wish, number];
        const host = (proxy.used as envoy.RouteConfiguration).virtualHosts[0] as envoy.VirtualHost;
        check(policiesOf(inHost(host)), now);
        for (const { name, match } of host.routes) {
          const key = /^HTTPRoute shop\/(\w+)/.exec(name)?.[1] ?? name;
          last.set(key, [...(last.get(key) ?? []), match.path ?? '']);
        }
        expect(host.routes.at(-1)?.name).toBe('service');
        for (const [name, rules] of Object.entries(now.others)) {
          const told = last.get(name) ?? [];
          if (rules.every(isGood)) expect([name, told]).toEqual([name, rules.map(content)]);
          else expect(told.every((text) => text.startsWith('good'))).toBe(true);
          // One that never was good has its good rules.
          if (steps.length === 1) expect([name, told]).toEqual([name, rules.filter(isGood).map(content)]);
        }
        const refused = proxy.session.refused();
        const faults = [now.deny, now.allow].flatMap((of) => Object.entries(of)).filter(([, n]) => !isGood(n));
        const isFine = faults.length === 0 && Object.values(now.others).flat().every(isGood);
        expect(refused.length).toBe(isFine ? 0 : 1);
        const parts = refused.flatMap((one) => one.parts.map(({ part }) => part));
        for (const [name] of faults) expect(parts).toContain(`AuthorizationPolicy shop/${name}`);
        if (!isFine) expect(parts.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  test('chains and policies of a listener', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const proxy = new ChoosyProxy('listeners', way);
        for (const [now, times] of steps) {
          proxy.update(listenerOf(now));
          proxy.answer(times);
        }
        proxy.answer();
        const [now] = steps.at(-1) as [Wish, number];
        const { filterChains } = proxy.used as envoy.Listener;
        expect(filterChains.map(({ name }) => name)).toEqual(Object.keys(now.others).map((name) => `${name}@10.0.0.1`));
        for (const chain of filterChains) {
          check(policiesOf(inChain(chain)), now);
          const [n = 0] = now.others[chain.name.replace('@10.0.0.1', '')] ?? [];
          const last = chain.filters.at(-1)?.typedConfig.value as envoy.TcpProxy;
          if (isGood(n)) expect(last.cluster).toBe(content(n));
          else expect(last.cluster).toMatch(/^(?:good\d|invalid)$/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

const good: Wish = { deny: { d: 1 }, allow: {}, others: { a: [1], b: [2] } };
const paths = ({ used }: ChoosyProxy): (string | undefined)[] =>
  ((used as envoy.RouteConfiguration).virtualHosts[0]?.routes ?? []).map(({ match }) => match.path);
const denied = ({ used }: ChoosyProxy) =>
  policiesOf(inHost((used as envoy.RouteConfiguration).virtualHosts[0] as envoy.VirtualHost)).deny;

test('a policy is in force before what else is wrong is known, and the next one at once', () => {
  const proxy = new ChoosyProxy('routes', 'delta');
  proxy.update(routesOf(good));
  proxy.answer();
  proxy.update(routesOf({ ...good, deny: { d: 3 }, others: { a: [9], b: [4] } }));
  // It refuses all of it, takes what was there, then the policy.
  proxy.answer(2);
  expect([denied(proxy), paths(proxy)]).toEqual([{ d: 'good3' }, ['good1', 'good2', undefined]]);
  proxy.answer();
  expect(paths(proxy)).toEqual(['good1', 'good4', undefined]);
  expect(proxy.session.refused()[0]?.parts).toEqual([{ part: 'HTTPRoute shop/a', reason: 'it is refused' }]);
  const { nacks } = proxy.session.types()[0] ?? {};
  proxy.update(routesOf({ ...good, deny: { d: 5 }, others: { a: [9], b: [6] } }));
  proxy.answer(1);
  expect([denied(proxy), paths(proxy)]).toEqual([{ d: 'good5' }, ['good1', 'good6', undefined]]);
  expect(proxy.session.types()[0]?.nacks).toBe(nacks);
  expect(proxy.session.refused()[0]?.parts).toHaveLength(1);
  proxy.update(routesOf({ ...good, others: { a: [6], b: [6] } }));
  proxy.answer();
  expect([paths(proxy), proxy.session.refused()]).toEqual([['good6', 'good6', undefined], []]);
});

test('a control plane that knows nothing of before leaves routes as they are, as long as policies are the same', () => {
  const proxy = new ChoosyProxy('routes', 'delta');
  const bad: Wish = { ...good, others: { a: [9], b: [4] } };
  proxy.update(routesOf(good));
  proxy.answer();
  proxy.update(routesOf(bad));
  proxy.answer();
  expect(paths(proxy)).toEqual(['good1', 'good4', undefined]);
  const later = new ChoosyProxy('routes', 'delta');
  Object.assign(later, { used: proxy.used, version: proxy.version });
  later.update(routesOf(bad));
  later.answer();
  expect(paths(later)).toEqual(['good1', 'good4', undefined]);
  expect(later.session.refused()).toMatchObject([{ stands: proxy.version, parts: [] }]);
  later.update(routesOf({ ...bad, deny: { d: 2 } }));
  later.answer();
  expect([denied(later), paths(later)]).toEqual([{ d: 'good2' }, ['good4', undefined]]);
});

test('a proxy that refuses whatever it is told is asked little', () => {
  const proxy = new ChoosyProxy('listeners', 'delta');
  const others = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`c${i}`, [1]]));
  proxy.update({ ...listenerOf({ deny: {}, allow: {}, others }), statPrefix: 'bad' });
  proxy.answer();
  expect(proxy.session.types()[0]).toMatchObject({ nacks: 2, taken: 0 });
  expect(proxy.session.refused()).toMatchObject([{ stands: '', parts: [] }]);
});
