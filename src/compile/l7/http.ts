// SPDX-License-Identifier: Apache-2.0
// Rules of HTTPRoutes and GRPCRoutes as routes of Envoy, in the order in which they count.
import type {
  BackendRef,
  GrpcMatch,
  GrpcRoute,
  HttpFilter,
  HttpMatch,
  HttpRoute,
  HttpRule,
  NamedMatch,
  PathMatch,
  Retry,
} from '../../mesh/route.ts';
import { million, partsOf } from './backend-filters.ts';
import type * as envoy from './envoy.ts';
import { byPrecedence, grpcSpecificity, httpSpecificity, type Ranked, trimmedPrefix } from './precedence.ts';
import { quoted } from './regex.ts';
import { withRetries } from './retries.ts';
import { redirectAction, rewriteFields } from './rewrite.ts';
import { filterFields } from './route-filters.ts';
import { ruleFaults } from './rule-faults.ts';
import { noCluster } from './services.ts';
import type { Attached } from './settle.ts';

export type RequestRoute = Attached<HttpRoute | GrpcRoute>;

/** Cluster of a backend; undefined: it cannot be used. */
function clusterOf({ targets }: RequestRoute, backend: BackendRef): string | undefined {
  const target = targets.get(backend);
  return typeof target === 'string' ? target : undefined;
}

interface Line extends Ranked {
  readonly made: envoy.EnvoyRoute;
}

/** What a route was ordered by: another version of one among them has to find its place. */
const ranks = new WeakMap<envoy.EnvoyRoute, Ranked>();
/** undefined: it comes from no rule. */
export const rankOf = (made: envoy.EnvoyRoute): Ranked | undefined => ranks.get(made);

export function ranked(made: envoy.EnvoyRoute, rank: Ranked | undefined): envoy.EnvoyRoute {
  if (rank) ranks.set(made, rank);
  return made;
}

/** Routes of one group, merged. `port`: of the service that is routed. */
export function envoyRoutes(routes: readonly RequestRoute[], port: number): envoy.EnvoyRoute[] {
  const lines = routes.flatMap((route) => linesOf(route, port));
  return lines.sort(byPrecedence).map(({ made }) => made);
}

const known = new WeakMap<RequestRoute, Map<number, readonly Line[]>>();

/** Of one route. Asked again of the same one they are the same, so that a change of one among many costs little. */
function linesOf(attached: RequestRoute, port: number): readonly Line[] {
  const ofPorts = known.get(attached) ?? new Map<number, readonly Line[]>();
  known.set(attached, ofPorts);
  const before = ofPorts.get(port);
  if (before) return before;
  const lines = makeLines(attached, port);
  ofPorts.set(port, lines);
  return lines;
}

function makeLines(attached: RequestRoute, port: number): readonly Line[] {
  const { route } = attached;
  const faults = ruleFaults(route);
  const lines: Line[] = [];
  route.rules.forEach((rule, i) => {
    if (faults[i]?.drops) return;
    const parts = partsOf(
      { timeouts: {}, ...rule } as HttpRule,
      (backend) => clusterOf(attached, backend) !== undefined,
    );
    rule.matches.forEach((match, k) => {
      const http = 'path' in match ? match : grpcAsHttp(match);
      const specificity = 'path' in match ? httpSpecificity(match) : grpcSpecificity(match);
      parts.forEach(({ rule: part, below }, n) => {
        const name = `${route.kind} ${route.namespace}/${route.name} ${rule.name || i}.${k}`;
        const whole = {
          name: parts.length > 1 ? `${name}.${n}` : name,
          match: { ...matchOf(http), ...(below !== undefined && { runtimeFraction: ofMillion(below) }) },
          ...actionOf(attached, part, http.path, port),
          ...filterFields(route, i, part),
        };
        const sticky = part.backends.some((backend) => attached.sticky.includes(clusterOf(attached, backend) ?? ''));
        for (const made of withRetries(whole, { method: http.method, sticky })) {
          const line = { route, rule: i, match: k, specificity, made };
          lines.push(line);
          ranked(made, line);
        }
      });
    });
  });
  return lines;
}

const ofMillion = (numerator: number) => ({ defaultValue: { numerator, denominator: 2 } });

const anyName = '[^/]+';

function grpcAsHttp({ method, headers }: GrpcMatch): HttpMatch {
  return { path: method ? grpcPath(method) : { kind: 'prefix', value: '/' }, headers, query: [], method: 'POST' };
}

function grpcPath({ kind, service, method }: NonNullable<GrpcMatch['method']>): PathMatch {
  if (kind === 'exact' && service !== '') {
    return method === ''
      ? { kind: 'prefix', value: `/${service}/` }
      : { kind: 'exact', value: `/${service}/${method}` };
  }
  const part = (text: string) => (text === '' ? anyName : kind === 'exact' ? quoted(text) : `(?:${text})`);
  return { kind: 'regex', value: `/${part(service)}/${part(method)}` };
}

const textOf = ({ kind, value }: NamedMatch): envoy.StringMatcher =>
  kind === 'exact' ? { exact: value } : { safeRegex: { regex: value } };

function matchOf({ path, headers, query, method }: HttpMatch): envoy.RouteMatch {
  const matchers: envoy.HeaderMatcher[] = headers.map((match) => ({
    name: match.name === 'host' ? ':authority' : match.name,
    stringMatch: textOf(match),
  }));
  if (method !== undefined) matchers.unshift({ name: ':method', stringMatch: { exact: method } });
  return {
    ...pathOf(path),
    ...(matchers.length > 0 && { headers: matchers }),
    ...(query.length > 0 && {
      queryParameters: query.map((match) => ({ name: match.name, stringMatch: textOf(match) })),
    }),
  };
}

function pathOf({ kind, value }: PathMatch): envoy.RouteMatch {
  if (kind === 'exact') return { path: value };
  if (kind === 'regex') return { safeRegex: { regex: value } };
  const trimmed = trimmedPrefix(value);
  return trimmed === '' ? { prefix: '/' } : { pathSeparatedPrefix: trimmed };
}

type Action = Omit<envoy.EnvoyRoute, 'name' | 'match'>;

/** Of every route that leads to a cluster: one that is not there is an error of ours (500), and whose choice is by hash is by the client's address. */
export const always = {
  clusterNotFoundResponseCode: 2,
  hashPolicy: [{ connectionProperties: { sourceIp: true } }],
} as const;

const failed: Action = { directResponse: { status: 500 } };

function actionOf(route: RequestRoute, rule: HttpRule, path: PathMatch, port: number): Action {
  const { filters } = rule;
  if (filters.some(({ kind }) => kind === 'unknown')) return failed;
  const headers = headerFields(filters);
  const redirect = filters.find((filter) => filter.kind === 'redirect');
  if (redirect?.kind === 'redirect') return { redirect: redirectAction(redirect, path, port), ...headers };
  const target = targetOf(route, rule.backends);
  if (!target) return { ...failed, ...headers };
  const rewrite = filters.find((filter) => filter.kind === 'rewrite');
  const mirrors = filters.flatMap((filter) => (filter.kind === 'mirror' ? (mirrorOf(route, filter) ?? []) : []));
  return {
    route: {
      ...target,
      ...always,
      ...(rewrite?.kind === 'rewrite' && rewriteFields(rewrite, path)),
      ...timing(rule),
      ...(mirrors.length > 0 && { requestMirrorPolicies: mirrors }),
    },
    ...headers,
  };
}

/** Where requests go; undefined: nowhere. The share of backends that cannot be used fails. */
function targetOf(
  route: RequestRoute,
  backends: readonly BackendRef[],
): Pick<envoy.RouteAction, 'cluster' | 'weightedClusters'> | undefined {
  const parts = backends
    .filter(({ weight }) => weight > 0)
    .map((backend) => ({ backend, cluster: clusterOf(route, backend) }));
  if (parts.every(({ cluster }) => cluster === undefined)) return undefined;
  const [only] = parts;
  if (parts.length === 1 && only?.cluster !== undefined && only.backend.filters.length === 0) {
    return { cluster: only.cluster };
  }
  return {
    weightedClusters: {
      clusters: parts.map(({ backend, cluster }) => ({
        name: cluster ?? noCluster,
        weight: backend.weight,
        ...headerFields(backend.filters),
      })),
    },
  };
}

type HeaderFields = Pick<
  envoy.EnvoyRoute,
  'requestHeadersToAdd' | 'requestHeadersToRemove' | 'responseHeadersToAdd' | 'responseHeadersToRemove'
>;

function headerFields(filters: readonly HttpFilter[]): HeaderFields {
  const fields: Record<string, unknown> = {};
  for (const filter of filters) {
    if (filter.kind !== 'request-headers' && filter.kind !== 'response-headers') continue;
    const side = filter.kind === 'request-headers' ? 'request' : 'response';
    const added = [
      ...filter.set.map(([key, value]) => option(key, value, 2)),
      ...filter.add.map(([key, value]) => option(key, value, 0)),
    ];
    if (added.length > 0) fields[`${side}HeadersToAdd`] = added;
    if (filter.remove.length > 0) fields[`${side}HeadersToRemove`] = filter.remove;
  }
  return fields;
}

/** A percent sign begins what Envoy would put something else in for. */
function option(key: string, value: string, appendAction: 0 | 2): envoy.HeaderValueOption {
  return {
    header: { key, value: value.replaceAll('%', '%%') },
    appendAction,
    ...(value === '' && { keepEmptyValue: true }),
  };
}

function mirrorOf(
  route: RequestRoute,
  { backend, share: [numerator, denominator] }: HttpFilter & { readonly kind: 'mirror' },
): envoy.MirrorPolicy | undefined {
  const cluster = clusterOf(route, backend);
  if (cluster === undefined) return undefined;
  return {
    cluster,
    runtimeFraction: ofMillion(Math.round((numerator / denominator) * million)),
    disableShadowHostSuffixAppend: true,
  };
}

/** What Envoy retries besides answers with the codes asked for: attempts that had no answer. */
const unanswered = 'connect-failure,refused-stream,reset';

function timing({
  timeouts: { request, backendRequest },
  retry,
}: HttpRule): Pick<envoy.RouteAction, 'timeout' | 'retryPolicy'> {
  const limit = backendRequest || undefined;
  if (!retry) return { timeout: request && limit ? Math.min(request, limit) : request || limit || 0 };
  return { timeout: request ?? 0, retryPolicy: retryPolicy(retry, limit) };
}

function retryPolicy({ codes, attempts, backoffMs }: Retry, perTry: number | undefined): envoy.RetryPolicy {
  return {
    retryOn: codes.length > 0 ? `${unanswered},retriable-status-codes` : unanswered,
    ...(attempts !== undefined && { numRetries: attempts }),
    ...(perTry !== undefined && { perTryTimeout: perTry }),
    retriableStatusCodes: codes,
    ...(backoffMs !== undefined &&
      backoffMs > 0 && { retryBackOff: { baseInterval: backoffMs, maxInterval: 10 * backoffMs } }),
  };
}
