// SPDX-License-Identifier: Apache-2.0
// What of a route's rules cannot be done.
import type { BackendRef, HttpRule, NamedMatch, Route } from '../../mesh/route.ts';
import { isRegex } from './regex.ts';

export interface RuleFault {
  readonly message: string;
  /** The rule is left out; else its requests are answered with an error. */
  readonly drops: boolean;
  /** A filter that nobody here knows. */
  readonly unknownFilter: boolean;
}

const dropped = (message: string): RuleFault => ({ message, drops: true, unknownFilter: false });

const known = new WeakMap<Route, readonly (RuleFault | undefined)[]>();

/** Of each rule; undefined: none. Asked again of the same route it is the same. */
export function ruleFaults(route: Route): readonly (RuleFault | undefined)[] {
  const before = known.get(route);
  if (before) return before;
  const faults = faultsOf(route);
  known.set(route, faults);
  return faults;
}

function faultsOf(route: Route): (RuleFault | undefined)[] {
  if (route.kind === 'TLSRoute' || route.kind === 'TCPRoute') {
    return route.rules.map((_, i) => (i === 0 ? undefined : dropped(`only the first rule of a ${route.kind} counts`)));
  }
  return route.rules.map((rule) => {
    const bad = rule.matches.flatMap((match) => [
      ...namedTexts(match.headers),
      ...('query' in match ? namedTexts(match.query) : []),
      ...('path' in match && match.path.kind === 'regex' ? [match.path.value] : []),
      ...('method' in match && typeof match.method === 'object' && match.method.kind === 'regex'
        ? [match.method.service, match.method.method].filter((text) => text !== '')
        : []),
    ]);
    const wrong = bad.find((text) => !isRegex(text));
    if (wrong !== undefined) return dropped(`${JSON.stringify(wrong)} is no regular expression of RE2`);
    const all = [...rule.filters, ...rule.backends.flatMap(({ filters }) => filters)];
    const unknown = all.find((filter) => filter.kind === 'unknown');
    if (unknown?.kind === 'unknown') {
      return { message: `filter ${unknown.name} is not known`, drops: false, unknownFilter: true };
    }
    return undefined;
  });
}

const namedTexts = (list: readonly NamedMatch[]): string[] =>
  list.filter(({ kind }) => kind === 'regex').map(({ value }) => value);

/** Every backend that a route names, those of mirrors too. */
export function backendsOf(route: Route): BackendRef[] {
  return (route.rules as readonly Partial<HttpRule>[]).flatMap(({ backends = [], filters = [] }) => [
    ...backends,
    ...[...filters, ...backends.flatMap((backend) => backend.filters)].flatMap((filter) =>
      filter.kind === 'mirror' ? [filter.backend] : [],
    ),
  ]);
}
