// SPDX-License-Identifier: Apache-2.0
// From pods, nodes and slices to workloads of the model.
import { describe, expect, test } from 'vitest';
import type { Workload } from '../../../src/mesh/workload.ts';
import { built, lines } from './texts.ts';

const pod = (spec = '', meta = '', status = '', name = 'cart-1') => `
  apiVersion: v1
  kind: Pod
  metadata: {name: ${name}, namespace: shop${meta}}
  spec: {nodeName: node-a${spec}}
  status: {podIP: 10.2.0.1, phase: Running, conditions: [{type: Ready, status: "True"}]${status}}
`;
const service = (spec: string) => `
  apiVersion: v1
  kind: Service
  metadata: {name: cart, namespace: shop}
  spec: {clusterIP: 10.0.0.1, ${spec}}
`;
const slice = (spec: string, meta = ', labels: {kubernetes.io/service-name: cart}') => `
  apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: cart-x, namespace: shop${meta}}
  addressType: IPv4
  ${spec}
`;
const node = (labels: string) => `
  apiVersion: v1
  kind: Node
  metadata: {name: node-a, labels: {${labels}}}
`;
const workloads = (...texts: string[]): ReadonlyMap<string, Workload> => {
  const made = built(...texts);
  expect(lines(made.report.faults)).toEqual([]);
  return made.workloads;
};
const cart = (...texts: string[]) => workloads(...texts).get('Kubernetes//Pod/shop/cart-1');
const key = 'shop/cart.shop.svc.cluster.local';

test('a pod', () => {
  expect(cart(pod(', serviceAccountName: cart', ', labels: {app: cart, version: v2}'))).toEqual({
    uid: 'Kubernetes//Pod/shop/cart-1',
    name: 'cart-1',
    namespace: 'shop',
    addresses: ['10.2.0.1'],
    hostname: '',
    network: '',
    clusterId: 'Kubernetes',
    trustDomain: 'cluster.local',
    serviceAccount: 'cart',
    node: 'node-a',
    workloadName: 'cart-1',
    workloadType: 'pod',
    canonicalName: 'cart',
    canonicalRevision: 'v2',
    locality: { region: '', zone: '', subzone: '' },
    status: 'healthy',
    capacity: 1,
    hostNetwork: false,
    services: new Map(),
    authorizationPolicies: [],
    tunnelProtocol: 'none',
    nativeTunnel: false,
  });
});

test.each([
  ['both families', pod('', '', ', podIPs: [{ip: 10.2.0.1}, {ip: "FD00::1"}]'), { addresses: ['10.2.0.1', 'fd00::1'] }],
  ['the host network', pod(', hostNetwork: true'), { hostNetwork: true }],
  ['pending', pod('', '', ', phase: Pending').replace('phase: Running, ', ''), { status: 'healthy' }],
  ['not ready', pod().replace('"True"', '"False"'), { status: 'unhealthy' }],
  ['no word of readiness', pod().replace(/, conditions.*]/, ''), { status: 'unhealthy' }],
  ['being deleted', pod('', ', deletionTimestamp: "2024-01-01T00:00:00Z"'), { status: 'unhealthy' }],
  ['a gate that is closed', pod(', readinessGates: [{conditionType: example.com/up}]'), { status: 'unhealthy' }],
  [
    'a gate that is open',
    pod(', readinessGates: [{conditionType: up}]').replace('"True"}', '"True"}, {type: up, status: "True"}'),
    { status: 'healthy' },
  ],
  ['no account', pod(), { serviceAccount: 'default' }],
  [
    'a tunnel',
    pod('', ', annotations: {ambient.istio.io/redirection: enabled}'),
    { tunnelProtocol: 'hbone', nativeTunnel: false },
  ],
  [
    'a tunnel of its own',
    pod('', ', labels: {networking.istio.io/tunnel: http}'),
    { tunnelProtocol: 'hbone', nativeTunnel: true },
  ],
  [
    'names by labels',
    pod(
      '',
      ', labels: {service.istio.io/canonical-name: a, app: b, service.istio.io/canonical-revision: r, version: s}',
    ),
    { canonicalName: 'a', canonicalRevision: 'r' },
  ],
  ['no labels', pod(), { canonicalName: 'cart-1', canonicalRevision: 'latest' }],
])('%s', (_, text, expected) => {
  expect(cart(text)).toMatchObject(expected);
});

test.each([
  ['without address', pod().replace('podIP: 10.2.0.1, ', '')],
  ['succeeded', pod().replace('Running', 'Succeeded')],
  ['failed', pod().replace('Running', 'Failed')],
])('no workload: %s', (_, text) => {
  expect([...workloads(text)]).toEqual([]);
});

describe('what made it', () => {
  const owner = (kind: string, name: string, more = '') =>
    `, generateName: cart-, ownerReferences: [{apiVersion: x/v1, kind: ${kind}, name: ${name}, controller: true, uid: u}]${more}`;
  test.each([
    [
      'ReplicaSet',
      owner('ReplicaSet', 'cart-6d4cf56db6', ', labels: {pod-template-hash: 6d4cf56db6}'),
      'cart',
      'deployment',
    ],
    ['a ReplicaSet alone', owner('ReplicaSet', 'cart-rs'), 'cart-rs', 'pod'],
    ['Job', owner('Job', 'tidy'), 'tidy', 'job'],
    ['CronJob', owner('Job', 'tidy-28400000'), 'tidy', 'cronjob'],
    ['StatefulSet', owner('StatefulSet', 'db'), 'db', 'pod'],
    ['a label', owner('Job', 'tidy', ', labels: {service.istio.io/workload-name: mine}'), 'mine', 'job'],
    ['nobody', '', 'cart-1', 'pod'],
  ])('%s', (_, meta, workloadName, workloadType) => {
    expect(cart(pod('', meta))).toMatchObject({ workloadName, workloadType });
  });
});

describe('locality', () => {
  const topology =
    'topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1, topology.istio.io/subzone: r1';
  test.each([
    ['of its node', [pod(), node(topology)], { region: 'eu', zone: 'eu-1', subzone: 'r1' }],
    [
      'of its own label',
      [pod('', ', labels: {istio-locality: us.us-2.r2}'), node(topology)],
      { region: 'us', zone: 'us-2', subzone: 'r2' },
    ],
    [
      'of its node, by another label',
      [pod(), node('istio-locality: eu.eu-3')],
      { region: 'eu', zone: 'eu-3', subzone: '' },
    ],
    ['of a node that is not there', [pod()], { region: '', zone: '', subzone: '' }],
  ])('%s', (_, texts, expected) => {
    expect(cart(...texts)?.locality).toEqual(expected);
  });
});

describe('services', () => {
  const labelled = pod(
    ', containers: [{ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 5353, protocol: UDP}]}], initContainers: [{restartPolicy: Always, ports: [{name: side, containerPort: 99}]}, {ports: [{name: init, containerPort: 98}]}]',
    ', labels: {app: cart, tier: back}',
  );
  const ports = (spec: string) => cart(service(spec), labelled)?.services.get(key);

  test.each([
    ['selector: {app: cart}, ports: [{port: 80, targetPort: 8080}]', []],
    [
      'selector: {app: cart, tier: back}, ports: [{port: 80, targetPort: http}]',
      [{ servicePort: 80, targetPort: 8080 }],
    ],
    ['selector: {app: cart, tier: front}', undefined],
    ['selector: {}', undefined],
    ['selector: {app: other}', undefined],
    ['selector: {app: cart}, ports: [{port: 80, targetPort: absent}]', []],
    ['selector: {app: cart}, ports: [{port: 80, targetPort: side}]', [{ servicePort: 80, targetPort: 99 }]],
    ['selector: {app: cart}, ports: [{port: 80, targetPort: init}]', []],
    ['selector: {app: cart}, ports: [{port: 53, targetPort: dns}]', []],
    [
      'selector: {app: cart}, ports: [{port: 53, targetPort: dns, protocol: UDP}]',
      [{ servicePort: 53, targetPort: 5353 }],
    ],
    [
      'selector: {app: cart}, ports: [{name: a, port: 53, targetPort: dns, protocol: UDP}, {name: b, port: 53, targetPort: http}]',
      [
        { servicePort: 53, targetPort: 5353, protocol: 'udp' },
        { servicePort: 53, targetPort: 8080, protocol: 'tcp' },
      ],
    ],
  ])('%s', (spec, expected) => {
    expect(ports(spec)).toEqual(expected);
  });

  test('of other namespaces do not select it', () => {
    expect(
      cart(service('selector: {app: cart}').replace('namespace: shop', 'namespace: other'), labelled)?.services.size,
    ).toBe(0);
  });

  test('equal ones are one value', () => {
    const all = [
      ...workloads(service('selector: {app: cart}'), labelled, labelled.replace('cart-1', 'cart-2')).values(),
    ];
    expect(all[0]?.services).toBe(all[1]?.services);
  });
});

describe('slices', () => {
  const plainService = service('ports: [{name: web, port: 80, targetPort: 8080}]');
  const uid = (address: string) => `Kubernetes/discovery.k8s.io/EndpointSlice/shop/cart-x/${address}`;

  test('endpoints that are no pods', () => {
    const made = workloads(
      plainService,
      node('topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1'),
      slice(`ports: [{name: web, port: 9000}]
  endpoints:
  - {addresses: [10.9.0.1], nodeName: node-a, conditions: {ready: true}}
  - {addresses: [10.9.0.2], zone: eu-2, conditions: {ready: false, serving: true}}
  - {addresses: [10.9.0.3], conditions: {ready: true, terminating: true}}
  - {addresses: [10.9.0.1]}`),
    );
    const services = new Map([[key, [{ servicePort: 80, targetPort: 9000 }]]]);
    const eu1 = { region: 'eu', zone: 'eu-1', subzone: '' };
    const common = { hostNetwork: true, serviceAccount: '', services };
    expect([...made.values()]).toMatchObject([
      { ...common, uid: uid('10.9.0.1'), node: 'node-a', locality: eu1, status: 'healthy' },
      {
        ...common,
        uid: uid('10.9.0.2'),
        node: '',
        locality: { region: '', zone: 'eu-2', subzone: '' },
        status: 'unhealthy',
      },
      { ...common, uid: uid('10.9.0.3'), status: 'unhealthy' },
    ]);
  });

  const ofPod = slice('endpoints: [{addresses: [10.2.0.1], targetRef: {kind: Pod, name: cart-1, namespace: shop}}]');

  test('a pod that is known stands for itself, also for a service without a selector', () => {
    const made = workloads(plainService, ofPod, pod());
    expect([...made.keys()]).toEqual(['Kubernetes//Pod/shop/cart-1']);
    expect(made.get('Kubernetes//Pod/shop/cart-1')?.services).toEqual(new Map([[key, []]]));
  });

  test('a pod that is not known is taken from the slice', () => {
    expect([...workloads(plainService, ofPod).keys()]).toEqual([uid('10.2.0.1')]);
  });

  test.each([
    ['without a service', [slice('endpoints: [{addresses: [10.9.0.1]}]')]],
    ['without the label', [plainService, slice('endpoints: [{addresses: [10.9.0.1]}]', '')]],
    ['of host names', [plainService, slice('endpoints: [{addresses: [a.b]}]').replace('IPv4', 'FQDN')]],
  ])('nothing %s', (_, texts) => {
    expect([...workloads(...texts)]).toEqual([]);
  });
});
