// SPDX-License-Identifier: Apache-2.0
// Which of several matches counts, as the Gateway API says it: the most specific one, then that of the oldest route, then the first written.
import type { GrpcMatch, HttpMatch, PathMatch } from '../../mesh/route.ts';

/** What matches are ordered by: larger comes first, from left to right. */
export type Specificity = readonly number[];

const kinds: Readonly<Record<PathMatch['kind'], number>> = { exact: 2, regex: 1, prefix: 0 };

/** A path without the slashes at its end: "/a/" as a prefix holds for what "/a" does. */
export function trimmedPrefix(value: string): string {
  return value.endsWith('/') ? value.replace(/\/+$/, '') : value;
}

/** Exact paths, then regular expressions (whose place is ours to choose), then prefixes, longer ones first; then method, headers and parameters. */
export function httpSpecificity({ path, method, headers, query }: HttpMatch): Specificity {
  const length = path.kind === 'prefix' ? trimmedPrefix(path.value).length : path.value.length;
  return [kinds[path.kind], length, method === undefined ? 0 : 1, headers.length, query.length];
}

/** Characters of the service, of the method, then headers. Exact ones before regular expressions. */
export function grpcSpecificity({ method, headers }: GrpcMatch): Specificity {
  const exact = method?.kind === 'exact' ? 1 : 0;
  return [exact, method?.service.length ?? 0, method?.method.length ?? 0, headers.length];
}

interface Aged {
  readonly namespace: string;
  readonly name: string;
  readonly created?: number;
}

/** Oldest first; one without a time counts as the newest; equals by namespace and name. */
export function byAge(a: Aged, b: Aged): number {
  const [x, y] = [a.created ?? Number.POSITIVE_INFINITY, b.created ?? Number.POSITIVE_INFINITY];
  if (x !== y) return x < y ? -1 : 1;
  const [p, q] = [`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`];
  return p < q ? -1 : p > q ? 1 : 0;
}

/** One match of one rule of one route. */
export interface Ranked {
  readonly route: Aged;
  readonly rule: number;
  readonly match: number;
  readonly specificity: Specificity;
}

export function byPrecedence(a: Ranked, b: Ranked): number {
  for (const [i, mine] of a.specificity.entries()) {
    const theirs = b.specificity[i] as number;
    if (mine !== theirs) return theirs - mine;
  }
  return byAge(a.route, b.route) || a.rule - b.rule || a.match - b.match;
}
