// SPDX-License-Identifier: Apache-2.0
// The listener of a waypoint: a filter chain for each address and port that is served, after the PROXY protocol header said which was dialled.
import { addressBits } from '../../net/cidr.ts';
import { adsSource } from './clusters.ts';
import type * as envoy from './envoy.ts';
import { type Rbacs, sourceKey } from './rbac.ts';
import { allowFilter, denyFilter, filtersOf } from './rbac-places.ts';
import { noCluster } from './services.ts';

/** TLV of the PROXY protocol that holds the source's SPIFFE identity. */
const identityTlv = 0xd0;
const proxyFilter = 'envoy.filters.listener.proxy_protocol';
/** Counters of requests, one for all: those of a thousand services cost an Envoy's start a third of a second. Clusters have their own. */
export const httpStats = 'waypoint';
export const corsFilter = 'envoy.filters.http.cors';
export const sessionFilter = 'envoy.filters.http.stateful_session';

const type = {
  proxy: 'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
  tls: 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
  guess: 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
  http: 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
  tcp: 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
  state: 'envoy.extensions.filters.network.set_filter_state.v3.Config',
  cors: 'envoy.extensions.filters.http.cors.v3.Cors',
  session: 'envoy.extensions.filters.http.stateful_session.v3.StatefulSession',
  httpRbac: 'envoy.extensions.filters.http.rbac.v3.RBAC',
  router: 'envoy.extensions.filters.http.router.v3.Router',
} as const;

/** Keeps the identity where routes and policies can ask for it. */
const keepSource: envoy.NetworkFilter = {
  name: 'kmesh.source',
  typedConfig: {
    type: type.state,
    value: {
      onNewConnection: [
        {
          objectKey: sourceKey,
          factoryKey: 'envoy.string',
          formatString: { textFormatSource: { inlineString: `%DYNAMIC_METADATA(${proxyFilter}:source)%` } },
          skipIfEmpty: true,
        },
      ],
    },
  },
};

const httpFilters: readonly envoy.HttpFilterConfig[] = [
  { name: denyFilter, typedConfig: { type: type.httpRbac, value: {} } },
  { name: allowFilter, typedConfig: { type: type.httpRbac, value: {} } },
  // These do nothing but for routes that say what.
  { name: corsFilter, typedConfig: { type: type.cors, value: {} } },
  { name: sessionFilter, typedConfig: { type: type.session, value: {} } },
  { name: 'envoy.filters.http.router', typedConfig: { type: type.router, value: { suppressEnvoyHeaders: true } } },
];

/** Addresses or ranges, and a port (none: those that no other chain names). */
export interface Dialled {
  /** As chains are called by. */
  readonly name: string;
  readonly ranges: readonly { readonly address: string; readonly length?: number }[];
  readonly port?: number;
}

function matchOf({ ranges, port }: Dialled, serverNames: readonly string[]): envoy.FilterChain['filterChainMatch'] {
  return {
    prefixRanges: ranges.map(({ address, length }) => ({
      addressPrefix: address,
      prefixLen: length ?? addressBits(address),
    })),
    ...(port !== undefined && { destinationPort: port }),
    ...(serverNames.length > 0 && { serverNames }),
  };
}

/** As Envoy calls what it has recognized. */
const recognized = ['http/1.0', 'http/1.1', 'h2c'];

export interface HttpRead {
  /** Who is asked for by requests of HTTP/1.0 that do not say it; absent: these are refused. */
  readonly host?: string;
  /** Only what is recognized as HTTP; the rest is for another chain. */
  readonly isGuessed?: boolean;
}

export function httpChain(at: Dialled, name: string, { host, isGuessed = false }: HttpRead = {}): envoy.FilterChain {
  const value: envoy.HttpConnectionManager = {
    codecType: 0,
    statPrefix: httpStats,
    rds: { configSource: adsSource, routeConfigName: name },
    httpFilters,
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    // The client's own word of who it is for is left to it; the connection says who it is.
    useRemoteAddress: false,
    skipXffAppend: true,
    // One that the client gave stays.
    generateRequestId: true,
    preserveExternalRequestId: true,
    normalizePath: true,
    pathWithEscapedSlashesAction: 1,
    streamIdleTimeout: 0,
    serverHeaderTransformation: 2,
    httpProtocolOptions: { acceptHttp10: true, ...(host !== undefined && { defaultHostForHttp10: host }) },
  };
  return {
    name: `${name}@${at.name}${isGuessed ? '#http' : ''}`,
    filterChainMatch: { ...matchOf(at, []), ...(isGuessed && { applicationProtocols: recognized }) },
    filters: [keepSource, { name: 'http', typedConfig: { type: type.http, value } }],
  };
}

export interface StreamTarget {
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  readonly serverNames: readonly string[];
}

export function streamChain(
  at: Dialled,
  name: string,
  { clusters, serverNames }: StreamTarget,
  rbacs: Rbacs,
): envoy.FilterChain {
  const [only] = clusters;
  const value: envoy.TcpProxy = {
    statPrefix: name,
    hashPolicy: [{ sourceIp: {} }],
    ...(clusters.length === 1 && only ? { cluster: only.name } : { weightedClusters: { clusters } }),
  };
  return {
    name: [`${name}@${at.name}`, ...serverNames].join('#'),
    filterChainMatch: matchOf(at, serverNames),
    filters: [keepSource, ...filtersOf(rbacs), { name: 'tcp', typedConfig: { type: type.tcp, value } }],
  };
}

const nowhere: StreamTarget = { clusters: [{ name: noCluster, weight: 1 }], serverNames: [] };
/** Envoy wants one chain at least: for what nobody can dial. */
const nobody = streamChain({ name: 'nowhere', ranges: [{ address: '0.0.0.0' }] }, 'nobody', nowhere, {});
/** Last of a chain: ends every connection. */
export const closingFilter = nobody.filters.at(-1) as envoy.NetworkFilter;

/** Ports where what the client says first counts. Elsewhere nothing waits for it. */
export interface HeardPorts {
  /** For its server name. */
  readonly tls: readonly number[];
  /** For whether it is HTTP. */
  readonly guessed: readonly number[];
}

/** Undefined: there are no such ports. */
function inspector(name: 'tls' | 'http', ports: readonly number[]): envoy.ListenerFilter | undefined {
  const rules = ports.map((port) => ({ destinationPortRange: { start: port, end: port + 1 } }));
  const [only] = rules;
  if (!only) return undefined;
  return {
    name: `envoy.filters.listener.${name}_inspector`,
    typedConfig: { type: name === 'tls' ? type.tls : type.guess, value: {} },
    // A set of rules has two at least.
    filterDisabled: { notMatch: rules.length === 1 ? only : { orMatch: { rules } } },
  };
}

export function listenerOf(
  listen: { readonly address: string; readonly port: number },
  chains: readonly envoy.FilterChain[],
  heard: HeardPorts,
): envoy.Listener {
  const proxy: envoy.ListenerFilter = {
    name: proxyFilter,
    typedConfig: { type: type.proxy, value: { rules: [{ tlvType: identityTlv, onTlvPresent: { key: 'source' } }] } },
  };
  const inspectors = [inspector('tls', heard.tls), inspector('http', heard.guessed)].filter((one) => one !== undefined);
  return {
    name: 'waypoint',
    statPrefix: 'waypoint',
    address: {
      socketAddress: {
        address: listen.address,
        portValue: listen.port,
        ...(listen.address === '::' && { ipv4Compat: true }),
      },
    },
    listenerFilters: [proxy, ...inspectors],
    filterChains: chains.length > 0 ? chains : [nobody],
    trafficDirection: 1,
    // A server that speaks first behind a port of the same number waits so long for nothing.
    ...(inspectors.length > 0 && { listenerFiltersTimeout: 5000, continueOnListenerFiltersTimeout: true }),
  };
}
