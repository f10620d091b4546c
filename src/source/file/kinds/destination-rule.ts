// SPDX-License-Identifier: Apache-2.0
// DestinationRule: how a service's endpoints are chosen. What needs a proxy that reads HTTP or ends TLS is not supported.
import type { BalancerPolicy, RequestHash, Scope } from '../../../mesh/service.ts';
import {
  flag,
  listOf,
  needed,
  noticed,
  object,
  oneOf,
  type Raw,
  silentFields,
  tableOf,
  text,
  unsupported,
  whole,
} from '../fields.ts';
import { base, defineKind } from '../kind.ts';
import { clusterDomain, isHostPattern, rootNamespace, serviceHost } from '../names.ts';
import type { DestinationRuleObject, RuleLocality } from '../objects.ts';
import type { Reading } from '../reading.ts';
import { duration } from './route-fields.ts';

const name = text({ is: 'a name', test: (value) => /^[^\s:;,=]{1,256}$/.test(value) });

const http = 'connections are balanced, not HTTP requests';

const locality = object({
  enabled: flag(),
  distribute: listOf(object({ from: needed(text()), to: needed(tableOf(whole(0, 100))) })),
  failover: listOf(object({ from: needed(text()), to: needed(text()) })),
  failoverPriority: listOf(text()),
});

const cookie = object({ name: needed(name), path: text(), ttl: duration });
const consistentHash = object({
  useSourceIp: flag(),
  httpHeaderName: name,
  httpCookie: cookie,
  httpQueryParameterName: name,
  ringHash: unsupported('the table is sized by the number of endpoints'),
  maglev: unsupported('the table is sized by the number of endpoints'),
  minimumRingSize: unsupported('the table is sized by the number of endpoints'),
});

const trafficPolicy = object({
  loadBalancer: object({
    simple: oneOf('UNSPECIFIED', 'ROUND_ROBIN', 'LEAST_REQUEST', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH'),
    consistentHash,
    localityLbSetting: locality,
    warmup: unsupported('new endpoints get their full share at once'),
    warmupDurationSecs: unsupported('new endpoints get their full share at once'),
  }),
  outlierDetection: noticed('readiness alone takes endpoints out'),
  connectionPool: unsupported('connections are not limited'),
  portLevelSettings: unsupported('one policy holds for all ports of a service'),
  tls: unsupported('nothing here ends or begins TLS'),
  tunnel: unsupported('nothing here makes tunnels'),
  proxyProtocol: unsupported('nothing here writes headers'),
  retryBudget: unsupported(http),
});

const shape = {
  spec: needed(
    object({
      host: needed(text({ is: 'a host name, or one that begins with "*."', test: isHostPattern })),
      trafficPolicy,
      exportTo: listOf(text()),
      subsets: unsupported('subsets are chosen by HTTP routes'),
      workloadSelector: object({ ...silentFields('matchLabels') }, { open: true }),
    }),
  ),
  ...silentFields('status'),
};

export const destinationRuleKind = defineKind({
  kind: 'DestinationRule',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  namespaced: true,
  shape,
  make(raw, meta, reading): DestinationRuleObject {
    const { spec } = raw;
    const host = fullHost(spec.host, meta.namespace);
    const rule = {
      kind: 'DestinationRule',
      ...base(meta),
      host,
      exportTo: exportedTo(spec.exportTo ?? [], meta.namespace),
    } as const;
    if (spec.workloadSelector !== undefined) {
      reading.warnAt(
        ['spec', 'workloadSelector'],
        'is not supported: the rule is not applied, as it holds for some clients only',
      );
      return { ...rule, exportTo: ['~'], passthrough: false };
    }
    const owner = namespaceOfHost(host);
    if (owner !== undefined && owner !== meta.namespace && meta.namespace !== rootNamespace) {
      reading.warnAt(
        ['spec', 'host'],
        `is in namespace "${owner}": rules of a client's own namespace are not supported`,
      );
    }
    const balancer = spec.trafficPolicy?.loadBalancer;
    const hash = balancer?.consistentHash;
    const simple = balancer?.simple;
    if (hash !== undefined && simple !== undefined && simple !== 'UNSPECIFIED') {
      reading.faultAt(['spec', 'trafficPolicy', 'loadBalancer', 'consistentHash'], 'cannot stand beside simple');
    }
    const requestHash = hash && hashOf(hash, reading);
    const policy = hash?.useSourceIp ? 'source-hash' : policies[simple ?? 'UNSPECIFIED'];
    const outliers = spec.trafficPolicy?.outlierDetection ?? false;
    const where = balancer?.localityLbSetting && localityOf(balancer.localityLbSetting, outliers, reading);
    return {
      ...rule,
      ...(policy !== undefined && { policy }),
      ...(requestHash && { requestHash }),
      passthrough: simple === 'PASSTHROUGH',
      ...(where && { locality: where }),
    };
  },
});

/** What only waypoints can look at. */
function hashOf(
  { httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp }: Raw<typeof consistentHash>,
  reading: Reading,
): RequestHash | undefined {
  const path = ['spec', 'trafficPolicy', 'loadBalancer', 'consistentHash'];
  const given: readonly (readonly [string, RequestHash | undefined])[] = [
    [
      'httpHeaderName',
      httpHeaderName === undefined ? undefined : { kind: 'header', name: httpHeaderName.toLowerCase() },
    ],
    ['httpCookie', httpCookie && cookieHash(httpCookie)],
    [
      'httpQueryParameterName',
      httpQueryParameterName === undefined ? undefined : { kind: 'query', name: httpQueryParameterName },
    ],
  ];
  const [first, second] = given.filter(([, hash]) => hash !== undefined);
  if (!first) return undefined;
  const [field, hash] = first;
  if (second ?? useSourceIp) reading.faultAt([...path, second?.[0] ?? 'useSourceIp'], `cannot stand beside ${field}`);
  reading.warnAt([...path, field], 'has an effect behind waypoints only: nodes balance connections');
  return hash;
}

function cookieHash({ name, path, ttl }: Raw<typeof cookie>): RequestHash {
  return { kind: 'cookie', name, ...(path !== undefined && { path }), ...(ttl !== undefined && { lifetime: ttl }) };
}

const policies: Readonly<Record<string, BalancerPolicy | undefined>> = {
  ROUND_ROBIN: 'round-robin',
  LEAST_REQUEST: 'least-request',
  LEAST_CONN: 'least-request',
  RANDOM: 'random',
};

/** Names without a dot are services of the rule's own namespace. */
function fullHost(host: string, namespace: string): string {
  const lower = host.toLowerCase();
  return lower.includes('.') || lower === '*' ? lower : serviceHost(namespace, lower);
}

function namespaceOfHost(host: string): string | undefined {
  const parts = host.endsWith(`.svc.${clusterDomain}`) ? host.slice(0, -clusterDomain.length - 5).split('.') : [];
  return parts.length === 2 ? parts[1] : undefined;
}

/** Namespaces the rule holds for; none is all. */
function exportedTo(exportTo: readonly string[], namespace: string): readonly string[] {
  return exportTo.includes('*') ? [] : exportTo.map((to) => (to === '.' ? namespace : to));
}

const scopes = new Map<string, Scope>([
  ['topology.istio.io/network', 'network'],
  ['topology.kubernetes.io/region', 'region'],
  ['topology.kubernetes.io/zone', 'zone'],
  ['topology.istio.io/subzone', 'subzone'],
  ['kubernetes.io/hostname', 'node'],
  ['topology.istio.io/cluster', 'cluster'],
]);

/** Locality settings in force; undefined when they change nothing. Failover needs outlier detection, as in Istio. */
function localityOf(raw: Raw<typeof locality>, outliers: boolean, reading: Reading): RuleLocality | undefined {
  const path = ['spec', 'trafficPolicy', 'loadBalancer', 'localityLbSetting'];
  const { distribute = [], failover = [], failoverPriority = [] } = raw;
  if (raw.enabled === false) return { enabled: false, distribute: [], failover: [], scopes: [] };
  if (distribute.length > 0 && failover.length + failoverPriority.length > 0) {
    reading.faultAt([...path, 'distribute'], 'cannot stand beside failover or failoverPriority');
  }
  distribute.forEach(({ to }, i) => {
    const sum = Object.values(to).reduce((a, b) => a + b, 0);
    if (sum !== 100) reading.faultAt([...path, 'distribute', i, 'to'], `must add up to 100, not ${sum}`);
  });
  failover.forEach(({ from, to }, i) => {
    if (from === to)
      reading.faultAt([...path, 'failover', i, 'to'], `must differ from "from", not ${JSON.stringify(to)}`);
  });
  const unknown = failoverPriority.findIndex((label) => !scopes.has(label));
  if (unknown !== -1) {
    const label = JSON.stringify(failoverPriority[unknown]);
    reading.warnAt(
      [...path, 'failoverPriority', unknown],
      `${label} is no topology label: it is ignored with what follows`,
    );
  }
  if (failover.length > 0 && failoverPriority.length > 0) {
    reading.warnAt([...path, 'failover'], 'is not supported beside failoverPriority, which counts alone');
  }
  if (distribute.length > 0) {
    const shares = distribute.map(({ from, to }) => ({ from, to: new Map(Object.entries(to)) }));
    return { enabled: true, distribute: shares, failover: [], scopes: [] };
  }
  if (!outliers) {
    reading.warnAt(path, 'has no effect without outlierDetection');
    return undefined;
  }
  const order = (unknown === -1 ? failoverPriority : failoverPriority.slice(0, unknown)).map(
    (l) => scopes.get(l) as Scope,
  );
  return { enabled: true, distribute: [], failover, scopes: order };
}
