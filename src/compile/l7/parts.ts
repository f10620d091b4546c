// SPDX-License-Identifier: Apache-2.0
// Resources as parts that a proxy may refuse by themselves: policies and routes of a port, policies and chains of a listener. What it refuses is told
// as it was before, or as what closes, and the rest as it is.
import { equal } from '../../mesh/equal.ts';
import { closingFilter } from './chains.ts';
import type * as envoy from './envoy.ts';
import { rankOf } from './http.ts';
import { byPrecedence } from './precedence.ts';
import { matchesAll, type Rbacs, type Rules } from './rbac.ts';
import { fieldsOf, filtersOf, inChain, inHost, isRbac } from './rbac-places.ts';

/** True for a part (by its key) that is to be as it is now. */
export type Choice = (key: string) => boolean;

export interface Division {
  /** Keys of parts that are others than before: policies, which are not to wait for what else is wrong, and the rest. */
  readonly steps: readonly (readonly string[])[];
  /** What a part says, to tell whether it says the same later; undefined: it is not there. */
  said(key: string): unknown;
  /** Parts that are not to be as they are now are as before. Where there was nothing, routes are left out, and chains and policies close. */
  compose(isNow: Choice): object;
}

export type Divisible = envoy.RouteConfiguration | envoy.Listener;
type Values = Map<string, unknown>;

/** Of a route configuration or a listener; `before`: what the proxy has, or had. */
export function divide(now: Divisible, before: Divisible | undefined): Division {
  if ('filterChains' in now) return divideListener(now, before as envoy.Listener | undefined);
  return divideRoutes(now, before as envoy.RouteConfiguration | undefined);
}

/** All that policies say in a resource; undefined: nothing. */
export function policiesIn(value: Divisible): object | undefined {
  if ('filterChains' in value) {
    const chains = value.filterChains.flatMap((chain) =>
      chain.filters.some(isRbac) ? [[chain.name, chain.filters.filter(isRbac)]] : [],
    );
    return chains.length > 0 ? chains : undefined;
  }
  return value.virtualHosts[0]?.typedPerFilterConfig;
}

const sides = ['deny', 'allow'] as const;
const kinds = ['rules', 'shadowRules'] as const;
type Side = (typeof sides)[number];
type Kind = (typeof kinds)[number];

/** Of a rule by its name in Envoy's RBAC. */
const policyKey = (rule: string): string => `AuthorizationPolicy ${rule.replace(/\[\d+\]$/, '')}`;

function addPolicies(to: Values, rbacs: Rbacs | undefined): void {
  for (const side of sides) {
    for (const kind of kinds) {
      for (const [rule, value] of Object.entries(rbacs?.[side]?.[kind]?.policies ?? {})) {
        const key = policyKey(rule);
        const known = (to.get(key) ?? {}) as Record<string, unknown>;
        to.set(key, { ...known, [`${side} ${kind} ${rule}`]: value });
      }
    }
  }
}

function mixed(now: Rbacs, before: Rbacs | undefined, isNow: Choice): Rbacs {
  const known: Values = new Map();
  const old: Values = new Map();
  addPolicies(known, now);
  addPolicies(old, before);
  const section = (side: Side, kind: Kind): envoy.Rbac | undefined => {
    const policies: Record<string, envoy.RbacPolicy> = {};
    const [mine, theirs] = [now[side]?.[kind], before?.[side]?.[kind]];
    for (const [rule, value] of Object.entries(mine?.policies ?? {})) {
      const key = policyKey(rule);
      if (isNow(key)) policies[rule] = value;
      // Nobody knows what of it would hold.
      else if (!old.has(key) && side === 'deny' && kind === 'rules') policies[rule] = matchesAll;
    }
    for (const [rule, value] of Object.entries(theirs?.policies ?? {})) {
      const key = policyKey(rule);
      if (known.has(key) && !isNow(key)) policies[rule] = value;
    }
    // One without a rule lets nobody in.
    const isEmpty = theirs !== undefined && Object.keys(theirs.policies).length === 0;
    const stays = isEmpty && [...known.keys()].some((key) => !isNow(key));
    if (!mine && !stays && Object.keys(policies).length === 0) return undefined;
    return { action: side === 'deny' ? 1 : 0, policies };
  };
  const side = (name: Side): Rules | undefined => {
    const [rules, shadowRules] = [section(name, 'rules'), section(name, 'shadowRules')];
    return rules || shadowRules ? { ...(rules && { rules }), ...(shadowRules && { shadowRules }) } : undefined;
  };
  const [deny, allow] = [side('deny'), side('allow')];
  return { ...(deny && { deny }), ...(allow && { allow }) };
}

function changed(now: Values, before: Values): string[] {
  return [...now].filter(([key, value]) => !equal(value, before.get(key))).map(([key]) => key);
}

/** "HTTPRoute shop/cart" of the name of what Envoy has as a route; undefined: what is there whatever routes say. */
const routeOf = ({ name }: envoy.EnvoyRoute): string | undefined => /^(?:HTTP|GRPC)Route \S+/.exec(name)?.[0];
/** The same with the rule. */
const ruleOf = ({ name }: envoy.EnvoyRoute): string => name.replace(/(?:\.\d+){1,2}$/, '');

function divideRoutes(now: envoy.RouteConfiguration, before: envoy.RouteConfiguration | undefined): Division {
  const [host, old] = [now.virtualHosts[0] as envoy.VirtualHost, before?.virtualHosts[0]];
  const oldRoutes = new Set((old?.routes ?? []).flatMap((one) => routeOf(one) ?? []));
  /** Of a route that never was good each rule counts by itself. */
  const keyOf = (one: envoy.EnvoyRoute): string | undefined => {
    const route = routeOf(one);
    return route === undefined || oldRoutes.has(route) ? route : ruleOf(one);
  };
  const collect = (of: envoy.VirtualHost | undefined): { policies: Values; routes: Values } => {
    const policies: Values = new Map();
    const routes: Values = new Map();
    addPolicies(policies, of && inHost(of));
    for (const one of of?.routes ?? []) {
      const key = keyOf(one);
      if (key !== undefined) routes.set(key, [...((routes.get(key) as unknown[]) ?? []), one]);
    }
    return { policies, routes };
  };
  const [mine, theirs] = [collect(host), collect(old)];
  return {
    steps: [changed(mine.policies, theirs.policies), changed(mine.routes, theirs.routes)],
    said: (key) => mine.policies.get(key) ?? mine.routes.get(key),
    compose(isNow) {
      const kept = host.routes.filter((one) => isNow(keyOf(one) ?? ''));
      const stay = (old?.routes ?? []).filter((one) => {
        const key = keyOf(one);
        return key !== undefined && mine.routes.has(key) && !isNow(key);
      });
      const { typedPerFilterConfig: _, ...rest } = host;
      const rbacs = mixed(inHost(host), old && inHost(old), isNow);
      return { ...now, virtualHosts: [{ ...rest, routes: merged(host.routes, kept, stay), ...fieldsOf(rbacs) }] };
    },
  };
}

const groupOf = ({ match }: envoy.EnvoyRoute): string => match.filterState?.[0]?.stringMatch.contains ?? '';

/** In the order in which they count, among those of the same clients; `all`: the order of clients. */
function merged(
  all: readonly envoy.EnvoyRoute[],
  kept: readonly envoy.EnvoyRoute[],
  stay: readonly envoy.EnvoyRoute[],
): envoy.EnvoyRoute[] {
  if (stay.length === 0) return [...kept];
  const groups = new Map<string, envoy.EnvoyRoute[]>(all.map((one) => [groupOf(one), []]));
  for (const one of [...kept, ...stay]) groups.get(groupOf(one))?.push(one);
  return [...groups.values()].flatMap((list) =>
    list.sort((a, b) => {
      const [x, y] = [rankOf(a), rankOf(b)];
      // What is there whatever routes say comes last.
      return x && y ? byPrecedence(x, y) : Number(!x) - Number(!y);
    }),
  );
}

const withoutRbac = ({ filters }: envoy.FilterChain) => filters.filter((filter) => !isRbac(filter));
/** HTTP or not. */
const speechOf = ({ filters }: envoy.FilterChain): string | undefined => filters.at(-1)?.name;

function divideListener(now: envoy.Listener, before: envoy.Listener | undefined): Division {
  const keyOf = ({ name }: envoy.FilterChain): string => `chain ${name}`;
  const old = new Map((before?.filterChains ?? []).map((chain) => [keyOf(chain), chain]));
  const collect = (of: envoy.Listener | undefined): { policies: Values; chains: Values } => {
    const policies: Values = new Map();
    const chains: Values = new Map();
    for (const chain of of?.filterChains ?? []) {
      addPolicies(policies, inChain(chain));
      chains.set(keyOf(chain), [chain.filterChainMatch, withoutRbac(chain)]);
    }
    return { policies, chains };
  };
  const [mine, theirs] = [collect(now), collect(before)];
  const composeChain = (chain: envoy.FilterChain, isNow: Choice): envoy.FilterChain => {
    const was = old.get(keyOf(chain));
    // The match is that of now in any case: no two chains may have the same.
    const base = isNow(keyOf(chain))
      ? chain
      : was && speechOf(was) === speechOf(chain)
        ? { ...was, filterChainMatch: chain.filterChainMatch }
        : { ...chain, filters: [...withoutRbac(chain).slice(0, -1), closingFilter] };
    const others = withoutRbac(base);
    const rbacs = mixed(inChain(chain), was && inChain(was), isNow);
    return { ...base, filters: [...others.slice(0, -1), ...filtersOf(rbacs), ...others.slice(-1)] };
  };
  return {
    steps: [changed(mine.policies, theirs.policies), changed(mine.chains, theirs.chains)],
    said: (key) => mine.policies.get(key) ?? mine.chains.get(key),
    compose: (isNow) => ({ ...now, filterChains: now.filterChains.map((chain) => composeChain(chain, isNow)) }),
  };
}
