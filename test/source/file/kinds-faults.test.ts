// SPDX-License-Identifier: Apache-2.0
// Every fault and warning of documents and of Kubernetes' kinds, word by word and with its place.
import { expect, test } from 'vitest';
import { says } from './texts.ts';

test('documents', () => {
  expect(says('just text\n')).toMatchInlineSnapshot(`"a.yaml:1:1: must be a mapping, not "just text""`);
  expect(says('- a\n')).toMatchInlineSnapshot(`"a.yaml:1:1: must be a mapping, not a list"`);
  expect(says('kind: Pod\nmetadata: {name: a}\n')).toMatchInlineSnapshot(
    `"a.yaml:1:1: Pod default/a: apiVersion: is missing"`,
  );
  expect(says('apiVersion: 1\nkind: Pod\nmetadata: {name: a}\n')).toMatchInlineSnapshot(
    `"a.yaml:1:13: Pod default/a: apiVersion: must be text, not the number 1"`,
  );
  expect(says('apiVersion: v1\nkind: [Pod]\n')).toMatchInlineSnapshot(`"a.yaml:2:7: kind: must be text, not a list"`);
  expect(
    says('apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: a}\n'),
  ).toMatchInlineSnapshot(
    `"a.yaml:1:13: EndpointSlice default/a: apiVersion: "discovery.k8s.io/v1beta1" is a version of EndpointSlice that is not read"`,
  );
  expect(says('apiVersion: v1\nkind: List\nitems: {}\n')).toMatchInlineSnapshot(
    `"a.yaml:3:8: items: must be a list, not a mapping"`,
  );
  expect(says('apiVersion: v1\nkind: Pod\n')).toMatchInlineSnapshot(`"a.yaml:1:1: metadata: is missing"`);
});

test('metadata', () => {
  expect(
    says(`
      apiVersion: v1
      kind: Namespace
      metadata:
        name: Not_A_Name
        labels:
          version: 1
          on: true
        annotations: []
        creationTimestamp: yesterday
        managedFields: [{anything: {goes: here}}]
        colour: red
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:4:9: Namespace Not_A_Name: metadata.name: must be a lowercase DNS name, not "Not_A_Name"
    a.yaml:6:14: Namespace Not_A_Name: metadata.labels.version: must be text, not the number 1 (put it in quotes)
    a.yaml:7:9: Namespace Not_A_Name: metadata.labels.on: must be text, not true (put it in quotes)
    a.yaml:8:16: Namespace Not_A_Name: metadata.annotations: must be a mapping, not a list
    a.yaml:9:22: Namespace Not_A_Name: metadata.creationTimestamp: must be a time such as 2024-01-31T10:00:00Z, not "yesterday"
    warning a.yaml:11:3: Namespace Not_A_Name: metadata.colour: is no field that is known here; it is ignored"
  `);
  expect(
    says(`
      apiVersion: v1
      kind: Namespace
      metadata:
        name: shop
        creationTimestamp: null
        annotations:
          networking.istio.io/traffic-distribution: PreferElsewhere
      spec: {finalizers: [kubernetes], colour: red}
      status: {phase: Active}
    `),
  ).toMatchInlineSnapshot(`
    "warning a.yaml:8:34: Namespace shop: spec.colour: is no field that is known here; it is ignored
    warning a.yaml:7:47: Namespace shop: metadata.annotations["networking.istio.io/traffic-distribution"]: is not known; nothing is preferred: "PreferElsewhere""
  `);
});

test('a field that is misspelt is ignored, and the nearest one named', () => {
  expect(
    says(`
      apiVersion: v1
      kind: Service
      metadata: {name: cart, lables: {app: cart}}
      spec: {clusterIP: 10.96.0.1, selecter: {app: cart}, ports: [{port: 80, targetport: 8080, colour: red}]}
    `),
  ).toMatchInlineSnapshot(`
    "warning a.yaml:3:24: Service default/cart: metadata.lables: is no field that is known here; it is ignored; did you mean labels?
    warning a.yaml:4:30: Service default/cart: spec.selecter: is no field that is known here; it is ignored; did you mean selector?
    warning a.yaml:4:72: Service default/cart: spec.ports[0].targetport: is no field that is known here; it is ignored; did you mean targetPort?
    warning a.yaml:4:90: Service default/cart: spec.ports[0].colour: is no field that is known here; it is ignored"
  `);
});

test('a kind that is not read is told of when it is near one of its group', () => {
  const kind = (apiVersion: string, name: string) =>
    says(`apiVersion: ${apiVersion}\nkind: ${name}\nmetadata: {name: cart}\n`);
  expect(kind('gateway.networking.k8s.io/v1', 'HTTPRoutes')).toContain(
    'warning a.yaml:2:7: HTTPRoutes default/cart: kind: "HTTPRoutes" is not read; did you mean HTTPRoute?',
  );
  expect(kind('security.istio.io/v1', 'AuthorisationPolicy')).toContain('did you mean AuthorizationPolicy?');
  expect(kind('v1', 'service')).toContain('did you mean Service?');
  for (const [group, other] of [
    ['gateway.networking.k8s.io/v1', 'UDPRoute'],
    ['gateway.networking.k8s.io/v1', 'BackendTLSPolicy'],
    ['networking.istio.io/v1', 'VirtualService'],
    ['networking.istio.io/v1', 'WorkloadGroup'],
    ['security.istio.io/v1', 'RequestAuthentication'],
    ['discovery.k8s.io/v1', 'Endpoints'],
    ['v1', 'Secret'],
    ['v1', 'Endpoints'],
    ['v1', 'PodTemplate'],
    ['apps/v1', 'HTTPRoutes'],
  ] as const) {
    expect(kind(group, other), other).not.toContain('warning');
  }
});

test('Node', () => {
  expect(
    says(`
      apiVersion: v1
      kind: Node
      metadata: {name: node-a}
      spec: {podCIDR: 10.0.0.0/24}
      status: {capacity: {cpu: "2"}}
      colour: red
    `),
  ).toMatchInlineSnapshot(`"warning a.yaml:6:1: Node node-a: colour: is no field that is known here; it is ignored"`);
});

test('Pod', () => {
  expect(
    says(`
      apiVersion: v1
      kind: Pod
      metadata:
        name: cart-1
        labels: {istio.io/use-waypoint: way}
      spec:
        nodeName: 7
        hostNetwork: maybe
        containers:
        - name: a
          image: {any: thing}
          ports:
          - {name: http, containerPort: 0}
          - {name: dns, containerPort: 53, protocol: ICMP, colour: red}
        - text
        priority: 3
        colour: red
      status:
        podIP: 10.0.0.256
        podIPs: [{ip: fe80::1%eth0}]
        qosClass: Burstable
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:7:13: Pod default/cart-1: spec.nodeName: must be text, not the number 7 (put it in quotes)
    a.yaml:8:16: Pod default/cart-1: spec.hostNetwork: must be true or false, not "maybe"
    a.yaml:13:35: Pod default/cart-1: spec.containers[0].ports[0].containerPort: must be a whole number from 1 to 65535, not the number 0
    a.yaml:14:48: Pod default/cart-1: spec.containers[0].ports[1].protocol: must be one of TCP, UDP, SCTP, not "ICMP"
    a.yaml:15:5: Pod default/cart-1: spec.containers[1]: must be a mapping, not "text"
    a.yaml:19:10: Pod default/cart-1: status.podIP: must be an IPv4 or IPv6 address, not "10.0.0.256"
    a.yaml:20:17: Pod default/cart-1: status.podIPs[0].ip: must be an IPv4 or IPv6 address, not "fe80::1%eth0"
    warning a.yaml:14:54: Pod default/cart-1: spec.containers[0].ports[1].colour: is no field that is known here; it is ignored
    warning a.yaml:17:3: Pod default/cart-1: spec.colour: is no field that is known here; it is ignored"
  `);
});

test('Service', () => {
  expect(
    says(`
      apiVersion: v1
      kind: Service
      metadata:
        name: cart
        namespace: shop
        annotations: {kmesh.net/on-empty: maybe, networking.istio.io/traffic-distribution: Near}
      spec:
        type: Cluster
        clusterIPs: [None, 10.0.0.300]
        ipFamilies: [IPv5]
        sessionAffinity: Cookie
        sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}
        internalTrafficPolicy: Nearby
        publishNotReadyAddresses: "true"
        externalIPs: [somewhere]
        ports:
        - port: 70000
        - {targetPort: http}
        - {port: 80, targetPort: "8080"}
        - {port: 80, targetPort: 0}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:8:9: Service shop/cart: spec.type: must be one of ClusterIP, NodePort, LoadBalancer, ExternalName, not "Cluster"
    a.yaml:9:22: Service shop/cart: spec.clusterIPs[1]: must be an IPv4 or IPv6 address, not "10.0.0.300"
    a.yaml:10:16: Service shop/cart: spec.ipFamilies[0]: must be one of IPv4, IPv6, not "IPv5"
    a.yaml:11:20: Service shop/cart: spec.sessionAffinity: must be one of None, ClientIP, not "Cookie"
    a.yaml:12:54: Service shop/cart: spec.sessionAffinityConfig.clientIP.timeoutSeconds: must be a whole number from 1 to 86400, not the number 86401
    a.yaml:13:26: Service shop/cart: spec.internalTrafficPolicy: must be one of Cluster, Local, not "Nearby"
    a.yaml:14:29: Service shop/cart: spec.publishNotReadyAddresses: must be true or false, not "true"
    a.yaml:15:17: Service shop/cart: spec.externalIPs[0]: must be an IPv4 or IPv6 address, not "somewhere"
    a.yaml:17:11: Service shop/cart: spec.ports[0].port: must be a whole number from 1 to 65535, not the number 70000
    a.yaml:18:5: Service shop/cart: spec.ports[1].port: is missing
    a.yaml:19:28: Service shop/cart: spec.ports[2].targetPort: must be a port number or the name of a port, not "8080"
    a.yaml:20:28: Service shop/cart: spec.ports[3].targetPort: must be a whole number from 1 to 65535, not the number 0"
  `);
  expect(
    says(`
      apiVersion: v1
      kind: Service
      metadata: {name: cart, annotations: {kmesh.net/on-empty: maybe}}
      spec:
        ports:
        - {port: 80, name: http}
        - {port: 80, name: web}
        - {port: 81, name: http}
        - {port: 82}
        - {port: 80, protocol: UDP, name: quic}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:7:12: Service default/cart: spec.ports[1].port: 80/tcp stands in [0] already
    a.yaml:8:22: Service default/cart: spec.ports[2].name: "http" stands in [0] already
    a.yaml:9:5: Service default/cart: spec.ports[3].name: is missing, and must be there with several ports
    a.yaml:3:58: Service default/cart: metadata.annotations["kmesh.net/on-empty"]: must be one of refuse, direct, not "maybe"
    warning a.yaml:5:3: Service default/cart: spec.clusterIPs: is missing: the service is taken as headless, nothing can dial it by address"
  `);
  expect(
    says(`
      apiVersion: v1
      kind: Service
      metadata: {name: cart}
      spec:
        type: LoadBalancer
        clusterIP: ""
        externalTrafficPolicy: Local
        healthCheckNodePort: 30000
        loadBalancerSourceRanges: [10.0.0.0/8]
        trafficDistribution: PreferNobody
        ports:
        - {port: 80, nodePort: 30080, name: http}
        - {port: 81, nodePort: 30081, name: sctp, protocol: SCTP}
        shape: round
      status:
        loadBalancer:
          ingress: [{ip: 192.0.2.1, ipMode: Proxy}, {hostname: lb.example.com}]
    `),
  ).toMatchInlineSnapshot(`
    "warning a.yaml:9:29: Service default/cart: spec.loadBalancerSourceRanges: is not supported: its load-balancer addresses are open to every client in the mesh
    warning a.yaml:14:3: Service default/cart: spec.shape: is no field that is known here; it is ignored
    warning a.yaml:5:3: Service default/cart: spec.clusterIPs: is missing: the service is taken as headless, nothing can dial it by address
    warning a.yaml:13:55: Service default/cart: spec.ports[1].protocol: SCTP is not supported: the port is left out
    warning a.yaml:17:20: Service default/cart: status.loadBalancer.ingress[0].ip: is left alone: ipMode Proxy keeps it for the balancer
    warning a.yaml:10:24: Service default/cart: spec.trafficDistribution: is not known: "PreferNobody"
    ignored a.yaml:12:26: Service spec.ports.nodePort (2)"
  `);
  expect(
    says(`
      apiVersion: v1
      kind: Service
      metadata: {name: cart}
      spec: {type: ExternalName, externalName: example.com}
    `),
  ).toMatchInlineSnapshot(`"ignored a.yaml:4:42: Service of type ExternalName (1)"`);
  expect(says('apiVersion: v1\nkind: Service\nmetadata: {name: cart}\n')).toMatchInlineSnapshot(
    `"a.yaml:1:1: Service default/cart: spec: is missing"`,
  );
});

test('EndpointSlice', () => {
  expect(
    says(`
      apiVersion: discovery.k8s.io/v1
      kind: EndpointSlice
      metadata: {name: cart-x}
      addressType: IPv6
      ports: [{port: 80, protocol: TCP, name: ""}]
      endpoints:
      - addresses: [10.0.0.1]
      - addresses: []
      - conditions: {ready: perhaps}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:8:14: EndpointSlice default/cart-x: endpoints[1].addresses: must not be empty
    a.yaml:9:23: EndpointSlice default/cart-x: endpoints[2].conditions.ready: must be true or false, not "perhaps"
    a.yaml:9:3: EndpointSlice default/cart-x: endpoints[2].addresses: is missing"
  `);
  expect(
    says(`
      apiVersion: discovery.k8s.io/v1
      kind: EndpointSlice
      metadata: {name: cart-x}
      addressType: IPv6
      endpoints:
      - addresses: [10.0.0.1, x]
        hints: {forZones: []}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:6:15: EndpointSlice default/cart-x: endpoints[0].addresses[0]: must be an IPv6 address, not "10.0.0.1"
    a.yaml:6:25: EndpointSlice default/cart-x: endpoints[0].addresses[1]: must be an IPv6 address, not "x""
  `);
  expect(
    says(`
      apiVersion: discovery.k8s.io/v1
      kind: EndpointSlice
      metadata: {name: cart-x}
      addressType: FQDN
      endpoints: [{addresses: [example.com]}]
    `),
  ).toMatchInlineSnapshot(
    `"warning a.yaml:4:14: EndpointSlice default/cart-x: addressType: FQDN is not supported: the slice is ignored"`,
  );
});

test('other kinds', () => {
  expect(
    says(`
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: a}
      ---
      apiVersion: serving.knative.dev/v1
      kind: Service
      metadata: {name: a}
      ---
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: b}
    `),
  ).toMatchInlineSnapshot(`
    "ignored a.yaml:1:1: apps/v1 Deployment (2)
    ignored a.yaml:5:1: serving.knative.dev/v1 Service (1)"
  `);
});
