// SPDX-License-Identifier: Apache-2.0
// Every fault and warning of each kind, word by word and with its place.
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
    warning a.yaml:10:40: DestinationRule shop/cart: spec.trafficPolicy.loadBalancer.consistentHash.httpHeaderName: is not supported: connections are balanced, not HTTP requests
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
