// SPDX-License-Identifier: Apache-2.0
// What a row of the tables says: routes of the Gateway API, a request, and what comes of it.
import { parse } from 'yaml';

/** Pods that answer, each behind a service of its own name. */
export const pods = ['v1', 'v2', 'v3'] as const;
export type PodName = (typeof pods)[number];

/** `null`: it must not be there. */
export type Headers = Readonly<Record<string, string | RegExp | null>>;
/** Of pods by name, or of statuses of answers that no pod gave. */
export type Shares = Readonly<Record<string, number>>;

/** What a request must get; what is not said is not looked at. */
export interface Gets {
  readonly status?: number;
  /** Who answered. */
  readonly pod?: PodName;
  /** What reached that pod. */
  readonly path?: string;
  readonly host?: string;
  readonly protocol?: string;
  readonly sni?: string;
  /** Whose connection it came on. */
  readonly peer?: 'client' | 'waypoint';
  readonly saw?: Headers;
  /** Header by which each request says who is to answer it. */
  readonly named?: string;
  /** Headers of the answer. */
  readonly headers?: Headers;
  readonly body?: string;
  /** "connection": there was no answer at all. */
  readonly fails?: 'connection';
  /** Of many requests, who answered which share. */
  readonly shares?: Shares;
  /** Who got a copy, of which share. */
  readonly mirrors?: Shares;
  /** How often a pod saw it. */
  readonly tries?: number;
}

export interface Row {
  /** "/path", or "POST /path"; of gRPC "package.Service/Method". */
  readonly ask: string;
  /** Headers of the request; the host is the service's name unless it is here. */
  readonly with?: Readonly<Record<string, string>>;
  /** Whom it dials; default: the behaviour's own service, at the port that `as` usually has. */
  readonly to?: { readonly service?: string; readonly pod?: PodName; readonly port?: number };
  readonly as?: 'http' | 'websocket' | 'h2' | 'grpc' | 'https' | 'tcp';
  readonly sni?: string;
  /** Default: the one in the services' namespace. */
  readonly from?: 'client' | 'away';
  /** Default 1. */
  readonly times?: number;
  /** A pod that answers with 200, a status without a pod, or more. */
  readonly gets: PodName | number | Gets;
}

export interface Route {
  /** Default HTTPRoute. */
  readonly kind?: 'HTTPRoute' | 'GRPCRoute' | 'TLSRoute' | 'TCPRoute' | 'ReferenceGrant';
  /** Default: that of the service. */
  readonly name?: string;
  readonly namespace?: string;
  readonly created?: string;
  /** More of its parent, which is the behaviour's own service; null: none. */
  readonly parent?: { readonly name?: string; readonly port?: number; readonly sectionName?: string } | null;
  /** YAML of all but the parents. */
  readonly spec: string;
}

export interface Behaviour {
  /** Name of the conformance test, or of the rule of the Gateway API that none is about. */
  readonly test: string;
  /** One line for docs/conformance.md. */
  readonly says: string;
  /** YAML of an HTTPRoute's rules and all else but its parent, or several routes. */
  readonly routes?: string | readonly Route[];
  readonly rows: readonly Row[];
  /** "Kind namespace/name" -> conditions that are not as of a route without fault: "ResolvedRefs False RefNotPermitted". */
  readonly conditions?: Readonly<Record<string, readonly string[]>>;
  /** appProtocol of port 80 of the behaviour's own service. */
  readonly speaks?: string;
}

export const namespace = 'shop';

/** The service that a behaviour has for itself. */
export const ownService = ({ test }: Behaviour): string => test.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

export function routesOf(behaviour: Behaviour): readonly Route[] {
  const { routes = [] } = behaviour;
  return typeof routes === 'string' ? [{ spec: routes }] : routes;
}

const nameOf = (behaviour: Behaviour, { name = ownService(behaviour) }: Route): string => name;

/** "HTTPRoute shop/name" */
export function keyOf(behaviour: Behaviour, route: Route): string {
  return `${route.kind ?? 'HTTPRoute'} ${route.namespace ?? namespace}/${nameOf(behaviour, route)}`;
}

export function routeDocuments(behaviour: Behaviour): string[] {
  return routesOf(behaviour).map((route) => {
    const { kind = 'HTTPRoute', created, parent } = route;
    const service = { group: '', kind: 'Service', namespace, name: ownService(behaviour), ...parent };
    return JSON.stringify({
      apiVersion: `gateway.networking.k8s.io/${kind === 'ReferenceGrant' ? 'v1beta1' : 'v1'}`,
      kind,
      metadata: {
        name: nameOf(behaviour, route),
        namespace: route.namespace ?? namespace,
        ...(created !== undefined && { creationTimestamp: created }),
      },
      spec: { ...(parent !== null && { parentRefs: [service] }), ...(parse(route.spec) as object) },
    });
  });
}

export function getsOf({ gets }: Row): Gets {
  if (typeof gets === 'string') return { status: 200, pod: gets };
  return typeof gets === 'number' ? { status: gets } : gets;
}

/** "GET /v2 with version: two" */
export function rowName(row: Row): string {
  const { as = 'http', sni, from, times, to } = row;
  const headers = Object.entries(row.with ?? {}).map(([name, value]) => `${name}: ${value}`);
  return [
    as === 'http' ? '' : `${as} `,
    row.ask,
    ...(to ? [` to ${to.service ?? to.pod ?? 'port'}${to.port === undefined ? '' : ` ${to.port}`}`] : []),
    ...(headers.length > 0 ? [` with ${headers.join(', ')}`] : []),
    ...(sni === undefined ? [] : [` for ${sni}`]),
    ...(from === undefined ? [] : [` from ${from}`]),
    ...(times === undefined ? [] : [`, ${times} times`]),
  ].join('');
}
