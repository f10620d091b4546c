// SPDX-License-Identifier: Apache-2.0
// Every fault and warning of Istio's kinds, word by word and with its place.
import { expect, test } from 'vitest';
import { says } from './texts.ts';

test('WorkloadEntry', () => {
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: WorkloadEntry
      metadata: {name: vm-1}
      spec:
        address: unix:///run/x
        ports: {http: 0}
        weight: -1
        locality: 3
        colour: red
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:5:12: WorkloadEntry default/vm-1: spec.address: must be an address or a host name, not "unix:///run/x"
    a.yaml:6:17: WorkloadEntry default/vm-1: spec.ports.http: must be a whole number from 1 to 65535, not the number 0
    a.yaml:7:11: WorkloadEntry default/vm-1: spec.weight: must be a whole number from 0 to 4294967295, not the number -1
    a.yaml:8:13: WorkloadEntry default/vm-1: spec.locality: must be text, not the number 3 (put it in quotes)
    warning a.yaml:9:3: WorkloadEntry default/vm-1: spec.colour: is no field that is known here; it is ignored"
  `);
  expect(says('apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\n')).toMatchInlineSnapshot(
    `"a.yaml:1:1: WorkloadEntry default/a: spec: is missing"`,
  );
  expect(
    says('apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\nspec: {weight: 1}\n'),
  ).toMatchInlineSnapshot(`"a.yaml:4:7: WorkloadEntry default/a: spec.address: is missing"`);
  expect(
    says('apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\nspec: {address: 10.0.0.999}\n'),
  ).toMatchInlineSnapshot(
    `"a.yaml:4:17: WorkloadEntry default/a: spec.address: must be an address or a host name, not "10.0.0.999""`,
  );
  // Its identity would end like that of the namespace "prod".
  const account = 'spec: {address: 10.0.0.9, serviceAccount: a/ns/prod/sa/admin}';
  expect(says(`apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: a}\n${account}\n`)).toBe(
    'a.yaml:4:43: WorkloadEntry default/a: spec.serviceAccount: must be a name without slashes, not "a/ns/prod/sa/admin"',
  );
});

test('ServiceEntry', () => {
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: ServiceEntry
      metadata: {name: api}
      spec:
        hosts: [a..b, "x*.example.com"]
        addresses: [10.0.0.0/33]
        ports: []
        location: MESH_MIDDLE
        resolution: DYNAMIC_DNS
        workloadSelector: {}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:5:11: ServiceEntry default/api: spec.hosts[0]: must be a host name, or one that begins with "*.", not "a..b"
    a.yaml:5:17: ServiceEntry default/api: spec.hosts[1]: must be a host name, or one that begins with "*.", not "x*.example.com"
    a.yaml:6:15: ServiceEntry default/api: spec.addresses[0]: must be an address or a range such as 10.1.0.0/16, not "10.0.0.0/33"
    a.yaml:7:10: ServiceEntry default/api: spec.ports: must not be empty
    a.yaml:8:13: ServiceEntry default/api: spec.location: must be one of MESH_EXTERNAL, MESH_INTERNAL, not "MESH_MIDDLE"
    a.yaml:9:15: ServiceEntry default/api: spec.resolution: must be one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, not "DYNAMIC_DNS"
    a.yaml:10:21: ServiceEntry default/api: spec.workloadSelector.labels: is missing"
  `);
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: ServiceEntry
      metadata: {name: api}
      spec:
        hosts: [api.example.com]
        resolution: STATIC
        ports:
        - {number: 80, name: http, protocol: http}
        - {number: 80, name: http, protocol: SCTP}
        endpoints: [{address: api.example.com}, {ports: {http: 8080}}]
        workloadSelector: {labels: {app: api}}
        exportTo: [other]
    `),
  ).toMatchInlineSnapshot(
    `"a.yaml:9:40: ServiceEntry default/api: spec.ports[1].protocol: must be one of TCP, UDP, HTTP, HTTP2, HTTPS, GRPC, GRPC-WEB, TLS, MONGO, not "SCTP""`,
  );
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: ServiceEntry
      metadata: {name: api}
      spec:
        hosts: [api.example.com]
        resolution: STATIC
        ports: [{number: 80, name: http}, {number: 80, name: http}]
        endpoints: [{address: api.example.com}, {ports: {http: 8080}}, {address: 10.0.0.1}, {address: 10.0.0.1}]
        workloadSelector: {labels: {app: api}}
        exportTo: [other]
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:7:46: ServiceEntry default/api: spec.ports[1].number: 80/tcp stands in [0] already
    a.yaml:7:56: ServiceEntry default/api: spec.ports[1].name: "http" stands in [0] already
    a.yaml:9:21: ServiceEntry default/api: spec.workloadSelector: cannot stand beside endpoints
    a.yaml:8:25: ServiceEntry default/api: spec.endpoints[0].address: must be an address with resolution STATIC, not "api.example.com"
    a.yaml:8:43: ServiceEntry default/api: spec.endpoints[1].address: is missing
    warning a.yaml:8:97: ServiceEntry default/api: spec.endpoints[3].address: stands in [2] already; this endpoint is left out
    warning a.yaml:10:13: ServiceEntry default/api: spec.exportTo: other namespaces by name are not supported: the entry is visible to all"
  `);
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: ServiceEntry
      metadata: {name: api}
      spec:
        hosts: ["*.example.com"]
        addresses: [10.0.0.0/24]
        resolution: DNS
        ports: [{number: 80}]
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:5:11: ServiceEntry default/api: spec.hosts[0]: cannot be a wildcard with resolution DNS and no endpoints
    a.yaml:6:15: ServiceEntry default/api: spec.addresses[0]: cannot be a range with resolution DNS"
  `);
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: ServiceEntry
      metadata: {name: api}
      spec:
        hosts: [api.example.com]
        ports: [{number: 80}]
        endpoints: [{address: 10.0.0.1}]
    `),
  ).toMatchInlineSnapshot(
    `"a.yaml:7:14: ServiceEntry default/api: spec.endpoints: cannot stand with resolution NONE, which leads to the address that was dialled"`,
  );
});

test('more places than one service may have', () => {
  const addresses = Array.from({ length: 257 }, (_, i) => `10.1.${i >> 8}.${i & 255}`).join(', ');
  const ports = Array.from({ length: 256 }, (_, i) => `{number: ${i + 1}, name: p${i}}`).join(', ');
  const meta = 'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n';
  expect(
    says(`${meta}spec: {hosts: [a.example], resolution: STATIC, ports: [${ports}], addresses: [${addresses}]}\n`),
  ).toMatch(
    /ServiceEntry default\/a: spec.addresses: 257 addresses with 256 ports each are 65792 places, must be at most 65536$/,
  );
});

test('DestinationRule', () => {
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: DestinationRule
      metadata: {name: cart, namespace: shop}
      spec:
        host: cart
        subsets: [{name: v1, labels: {version: v1}}]
        trafficPolicy:
          loadBalancer:
            simple: FASTEST
            consistentHash: {httpHeaderName: x-user, minimumRingSize: 10}
            warmupDurationSecs: 10s
          connectionPool: {tcp: {maxConnections: 1}}
          outlierDetection: {}
          portLevelSettings: [{port: {number: 80}}]
          tls: {mode: ISTIO_MUTUAL}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:9:15: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.simple: must be one of UNSPECIFIED, ROUND_ROBIN, LEAST_REQUEST, LEAST_CONN, RANDOM, PASSTHROUGH, not "FASTEST"
    warning a.yaml:6:12: DestinationRule shop/cart: spec.subsets: is not supported: subsets are chosen by HTTP routes
    warning a.yaml:10:65: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: is not supported: the table is sized by the number of endpoints
    warning a.yaml:11:27: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.warmupDurationSecs: is not supported: new endpoints get their full share at once
    warning a.yaml:12:21: DestinationRule shop/cart: spec.trafficPolicy.connectionPool: is not supported: connections are not limited
    warning a.yaml:13:23: DestinationRule shop/cart: spec.trafficPolicy.outlierDetection: is not supported: readiness alone takes endpoints out
    warning a.yaml:14:24: DestinationRule shop/cart: spec.trafficPolicy.portLevelSettings: is not supported: one policy holds for all ports of a service
    warning a.yaml:15:10: DestinationRule shop/cart: spec.trafficPolicy.tls: is not supported: nothing here ends or begins TLS"
  `);
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: DestinationRule
      metadata: {name: cart, namespace: shop}
      spec:
        host: cart
        trafficPolicy:
          loadBalancer:
            simple: RANDOM
            consistentHash: {useSourceIp: true}
            localityLbSetting:
              distribute: [{from: eu/*, to: {eu/1: 60, eu/2: 30}}]
              failover: [{from: eu, to: eu}]
              failoverPriority: [topology.kubernetes.io/zone, example.com/rack]
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:9:23: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.consistentHash: cannot stand beside simple
    a.yaml:11:21: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.localityLbSetting.distribute: cannot stand beside failover or failoverPriority
    a.yaml:11:39: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to: must add up to 100, not 90
    a.yaml:12:35: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0].to: must differ from "from", not "eu"
    warning a.yaml:13:57: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority[1]: "example.com/rack" is no topology label: it is ignored with what follows
    warning a.yaml:12:19: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.localityLbSetting.failover: is not supported beside failoverPriority, which counts alone"
  `);
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: DestinationRule
      metadata: {name: cart, namespace: shop}
      spec:
        host: cart.other.svc.cluster.local
        workloadSelector: {matchLabels: {app: web}}
    `),
  ).toMatchInlineSnapshot(
    `"warning a.yaml:6:21: DestinationRule shop/cart: spec.workloadSelector: is not supported: the rule is not applied, as it holds for some clients only"`,
  );
  expect(
    says(`
      apiVersion: networking.istio.io/v1
      kind: DestinationRule
      metadata: {name: cart, namespace: shop}
      spec:
        host: cart.other.svc.cluster.local
        trafficPolicy:
          loadBalancer:
            localityLbSetting: {enabled: true, failover: [{from: eu, to: us}]}
    `),
  ).toMatchInlineSnapshot(`
    "warning a.yaml:5:9: DestinationRule shop/cart: spec.host: is in namespace "other": rules of a client's own namespace are not supported
    warning a.yaml:8:26: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.localityLbSetting: has no effect without outlierDetection"
  `);
});
