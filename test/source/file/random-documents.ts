// SPDX-License-Identifier: Apache-2.0
// Random documents over a few names, so that they meet, shadow and leave each other often.
import fc from 'fast-check';

const pick = fc.constantFrom;
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const namespace = pick('a', 'b');
const app = pick('x', 'y');
const node = pick('n1', 'n2');
const created = maybe(pick('2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z'));
const meta = (name: fc.Arbitrary<string>, more: Record<string, fc.Arbitrary<unknown>> = {}) =>
  fc.record({ name, namespace, creationTimestamp: created, ...more });
const distribution = maybe(pick('PreferClose', 'PreferSameNode', 'Any'));
const annotations = distribution.map((value) => value && { 'networking.istio.io/traffic-distribution': value });
const address = fc.nat({ max: 5 }).map((n) => `10.0.0.${n + 1}`);
const host = pick('one.example.com', 'two.example.com', 's1.a.svc.cluster.local');

const way = maybe(pick('w1', 'w1', 'w2', 'none'));
const wayLabels = {
  'istio.io/use-waypoint': way,
  'istio.io/use-waypoint-namespace': maybe(namespace),
  'istio.io/use-waypoint-canary': maybe(pick('w2')),
};
const wayAnnotations = fc.record({
  'networking.istio.io/traffic-distribution': distribution,
  'istio.io/use-waypoint-canary-weight': maybe(pick('0', '20')),
  'kmesh.net/waypoint-unready': maybe(pick('direct', 'refuse')),
});

const pod = fc.record({
  apiVersion: pick('v1'),
  kind: pick('Pod'),
  metadata: meta(pick('p1', 'p2', 'p3'), { labels: fc.record({ app, tier: maybe(app), ...wayLabels }) }),
  spec: fc.record({
    nodeName: node,
    containers: maybe(
      fc.record({ name: pick('http', 'web'), containerPort: pick(8080, 9090) }).map((p) => [{ ports: [p] }]),
    ),
  }),
  status: fc.record({
    phase: pick('Running', 'Running', 'Succeeded'),
    podIP: maybe(address),
    conditions: pick([{ type: 'Ready', status: 'True' }], []),
  }),
});
const service = fc.record({
  apiVersion: pick('v1'),
  kind: pick('Service'),
  metadata: meta(pick('s1', 's2'), { annotations: wayAnnotations, labels: fc.record(wayLabels) }),
  spec: fc.record({
    type: pick('ClusterIP', 'ClusterIP', 'ExternalName'),
    clusterIP: address,
    selector: maybe(fc.record({ app }, { requiredKeys: [] })),
    ports: pick([{ port: 80, targetPort: 'http' }], [{ port: 80 }]),
    internalTrafficPolicy: maybe(pick('Local')),
  }),
});
const slice = fc.record({
  apiVersion: pick('discovery.k8s.io/v1'),
  kind: pick('EndpointSlice'),
  metadata: meta(pick('e1', 'e2'), {
    labels: pick('s1', 's2', 's9').map((name) => ({ 'kubernetes.io/service-name': name })),
  }),
  addressType: pick('IPv4'),
  endpoints: fc.array(
    fc.record({
      addresses: address.map((a) => [a]),
      nodeName: maybe(node),
      targetRef: maybe(fc.record({ kind: pick('Pod'), name: pick('p1', 'p2') })),
    }),
    { maxLength: 2 },
  ),
});
const endpoint = fc.record({
  address: fc.oneof(address, pick('h1.example.com', 'h2.example.com')),
  weight: maybe(fc.nat({ max: 3 })),
  labels: maybe(fc.record({ 'istio.io/use-waypoint': way })),
});
const workloadEntry = fc.record({
  apiVersion: pick('networking.istio.io/v1'),
  kind: pick('WorkloadEntry'),
  metadata: meta(pick('w1', 'w2'), { labels: fc.record({ app, ...wayLabels }) }),
  spec: endpoint,
});
const serviceEntry = fc.record({
  apiVersion: pick('networking.istio.io/v1'),
  kind: pick('ServiceEntry'),
  metadata: meta(pick('t1', 't2'), { annotations, labels: fc.record(wayLabels) }),
  spec: fc.oneof(
    fc.record({
      hosts: fc.uniqueArray(host, { minLength: 1 }),
      ports: pick([{ number: 80, name: 'http' }]),
      resolution: pick('DNS'),
      exportTo: maybe(pick(['.'], ['~'], ['*'])),
      endpoints: maybe(fc.array(endpoint, { maxLength: 2 })),
    }),
    fc.record({
      hosts: fc.uniqueArray(host, { minLength: 1 }),
      ports: pick([{ number: 80, name: 'http' }]),
      resolution: pick('STATIC', 'NONE'),
      addresses: maybe(address.map((a) => [a])),
      workloadSelector: maybe(fc.record({ labels: fc.record({ app }) })),
    }),
  ),
});
const rule = fc.record({
  apiVersion: pick('networking.istio.io/v1'),
  kind: pick('DestinationRule'),
  metadata: fc.record({
    name: pick('r1', 'r2'),
    namespace: pick('a', 'b', 'istio-system'),
    creationTimestamp: created,
  }),
  spec: fc.record({
    host: fc.oneof(host, pick('s1', 's2', '*', '*.example.com')),
    exportTo: maybe(pick(['.'], ['*'])),
    trafficPolicy: maybe(
      fc.record({ loadBalancer: fc.record({ simple: pick('ROUND_ROBIN', 'LEAST_REQUEST', 'PASSTHROUGH') }) }),
    ),
  }),
});
const nodeDocument = fc.record({
  apiVersion: pick('v1'),
  kind: pick('Node'),
  metadata: fc.record({ name: node, labels: pick('eu', 'us').map((r) => ({ 'topology.kubernetes.io/region': r })) }),
});
const namespaceDocument = fc.record({
  apiVersion: pick('v1'),
  kind: pick('Namespace'),
  metadata: fc.record({
    name: namespace,
    annotations: wayAnnotations,
    labels: fc.record({ ...wayLabels, team: maybe(pick('red', 'blue')) }),
  }),
});
const traits = {
  labels: fc.record({ 'istio.io/waypoint-for': maybe(pick('service', 'workload', 'all', 'none')) }),
  annotations: fc.record({ 'kmesh.net/waypoint-binding': maybe(pick('PROXY', 'KMESH/15020', 'NONE')) }),
};
const gateway = fc.record({
  apiVersion: pick('gateway.networking.k8s.io/v1'),
  kind: pick('Gateway'),
  metadata: meta(pick('w1', 'w1', 'w2'), traits),
  spec: fc.record({
    gatewayClassName: pick('kmesh-waypoint', 'istio-waypoint'),
    addresses: maybe(address.map((value) => [{ type: 'IPAddress', value }])),
    listeners: pick<unknown[]>(
      [],
      [{ name: 'mesh', allowedRoutes: { namespaces: { from: 'All' } } }],
      [
        {
          name: 'mesh',
          allowedRoutes: { namespaces: { from: 'Selector', selector: { matchLabels: { team: 'red' } } } },
        },
      ],
    ),
  }),
  status: maybe(fc.record({ addresses: pick([{ type: 'Hostname', value: 's1.a.svc.cluster.local' }]) })),
});
const gatewayClass = fc.record({
  apiVersion: pick('gateway.networking.k8s.io/v1'),
  kind: pick('GatewayClass'),
  metadata: fc.record({ name: pick('kmesh-waypoint', 'istio-waypoint'), ...traits }),
});

const policyMeta = (name: fc.Arbitrary<string>) =>
  fc.record({ name, namespace: pick('a', 'b', 'istio-system'), creationTimestamp: created });
const selector = maybe(fc.record({ matchLabels: fc.record({ app }, { requiredKeys: [] }) }));
const authorizationPolicy = fc.record({
  apiVersion: pick('security.istio.io/v1'),
  kind: pick('AuthorizationPolicy'),
  metadata: policyMeta(pick('p1', 'p2')),
  spec: fc.record({ selector, action: pick('ALLOW', 'DENY', 'AUDIT'), rules: pick([], [{}]) }),
});
const mtls = fc.record({ mode: pick('UNSET', 'STRICT', 'PERMISSIVE', 'DISABLE') });
const peerAuthentication = fc.record({
  apiVersion: pick('security.istio.io/v1'),
  kind: pick('PeerAuthentication'),
  metadata: policyMeta(pick('p1', 'p2')),
  spec: fc.oneof(
    fc.record({ mtls: maybe(mtls) }),
    fc.record({
      selector: fc.record({ matchLabels: fc.record({ app }) }),
      mtls: maybe(mtls),
      portLevelMtls: maybe(fc.dictionary(pick('80', '443'), mtls, { minKeys: 1 })),
    }),
  ),
});

/** One good document of any kind, as JSON. */
export const document: fc.Arbitrary<string> = fc
  .oneof(
    pod,
    pod,
    service,
    service,
    slice,
    workloadEntry,
    serviceEntry,
    serviceEntry,
    rule,
    nodeDocument,
    namespaceDocument,
    gateway,
    gateway,
    gatewayClass,
    authorizationPolicy,
    peerAuthentication,
  )
  .map((value) => JSON.stringify(value));
