// SPDX-License-Identifier: Apache-2.0
// ServiceEntries and WorkloadEntries: services, automatic addresses, endpoints.
import { describe, expect, test } from 'vitest';
import { isAutomatic } from './automatic.ts';
import { built, lines, read } from './texts.ts';

const entry = (spec: string, meta = 'name: api, namespace: shop', more = '') => `
  apiVersion: networking.istio.io/v1
  kind: ServiceEntry
  metadata: {${meta}}
  spec:
    ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
    ${spec}
  ${more}
`;
const made = (...texts: string[]) => {
  const all = built(...texts);
  expect(lines(all.report.faults)).toEqual([]);
  return { ...all, list: [...all.workloads.values()], names: [...all.workloads.keys()].sort() };
};
const prefix = 'Kubernetes/networking.istio.io/ServiceEntry/shop/api';

test('listed endpoints', () => {
  const { services, list } = made(
    entry(`
    hosts: [api.example.com]
    resolution: STATIC
    addresses: [192.0.2.1]
    endpoints:
    - {address: 10.0.0.1, weight: 3, locality: eu/1/a, serviceAccount: api, ports: {http: 9090}}
    - {address: "FD00::1", weight: 0}`),
  );
  expect(services.get('shop/api.example.com')).toMatchObject({
    name: 'api',
    addresses: [{ network: '', address: '192.0.2.1' }],
    ports: [{ port: 80, targetPort: 8080, protocol: 'tcp', appProtocol: 'http' }],
    loadBalancing: { mode: 'standard', healthPolicy: 'only-healthy' },
    canonical: true,
    visibility: 'public',
  });
  expect(list).toEqual([
    {
      uid: `${prefix}/10.0.0.1`,
      name: 'api',
      namespace: 'shop',
      addresses: ['10.0.0.1'],
      hostname: '',
      network: '',
      clusterId: 'Kubernetes',
      trustDomain: 'cluster.local',
      serviceAccount: 'api',
      node: '',
      workloadName: 'api',
      workloadType: 'pod',
      canonicalName: 'api',
      canonicalRevision: 'latest',
      locality: { region: 'eu', zone: '1', subzone: 'a' },
      status: 'healthy',
      capacity: 3,
      hostNetwork: false,
      services: new Map([['shop/api.example.com', [{ servicePort: 80, targetPort: 9090 }]]]),
      authorizationPolicies: [],
      tunnelProtocol: 'none',
      nativeTunnel: false,
    },
    expect.objectContaining({
      uid: `${prefix}/fd00::1`,
      capacity: 0,
      services: new Map([['shop/api.example.com', []]]),
    }),
  ]);
});

test('an address by which everybody calls himself has no effect', () => {
  const addresses = '[127.0.0.1, "::1", 0.0.0.0, 127.1.0.0/16, 0.0.0.0/0, "::/64", 192.0.2.1]';
  const { warnings } = read(entry(`hosts: [a.b]\n    resolution: STATIC\n    addresses: ${addresses}`));
  const fields = warnings.map(({ field, reason }) => [field, reason]);
  const reason = 'has no effect: by this address everybody calls himself';
  expect(fields).toEqual([0, 1, 2, 3].map((i) => [`spec.addresses[${i}]`, reason]));
});

test('the same endpoint twice is one', () => {
  const endpoints = '[{address: 10.0.0.1, weight: 2}, {address: 10.0.0.1}]';
  const { list } = made(entry(`hosts: [a.b]\n    resolution: STATIC\n    endpoints: ${endpoints}`));
  expect(list.map((w) => [w.uid, w.capacity])).toEqual([[`${prefix}/10.0.0.1`, 2]]);
});

test('resolution NONE passes through, ranges stay ranges', () => {
  const { services, names } = made(
    entry('hosts: [wide.example.com]\n    addresses: [10.9.8.7/16, 192.0.2.1/32, "2001:DB8::1/32"]'),
  );
  expect(services.get('shop/wide.example.com')).toMatchObject({
    addresses: [{ address: '10.9.0.0', length: 16 }, { address: '192.0.2.1' }, { address: '2001:db8::', length: 32 }],
    loadBalancing: { mode: 'passthrough', scopes: [], healthPolicy: 'allow-all' },
  });
  expect(names).toEqual([]);
});

describe('automatic addresses', () => {
  const automatic = (text: string) => [...made(text).services.values()].map((s) => s.addresses.map((a) => a.address));

  test('each host has its own pair, the same in every run', () => {
    const [first, second] = automatic(entry('hosts: [a.example.com, b.example.com]\n    resolution: DNS'));
    expect([first, second]).toEqual([
      ['240.240.55.254', '2001:2::8b6e:1cd6:9681:3e4b'],
      ['240.240.81.194', '2001:2::b013:255e:edf1:f635'],
    ]);
    expect([...(first ?? []), ...(second ?? [])].every(isAutomatic)).toBe(true);
  });

  test.each([
    ['resolution NONE', entry('hosts: [a.example.com]')],
    ['a wildcard', entry('hosts: ["*.example.com"]\n    resolution: STATIC')],
    [
      'a label against it',
      entry(
        'hosts: [a.b]\n    resolution: STATIC',
        'name: api, labels: {networking.istio.io/enable-autoallocate-ip: "false"}',
      ),
    ],
  ])('not for %s', (_, text) => {
    expect(automatic(text)).toEqual([[]]);
  });

  test('what a control plane gave stays', () => {
    const status = 'status: {addresses: [{value: 240.240.7.7, host: a.b}, {value: "2001:2::7", host: a.b}]}';
    expect(automatic(entry('hosts: [a.b]\n    resolution: STATIC', 'name: api', status))).toEqual([
      ['240.240.7.7', '2001:2::7'],
    ]);
  });
});

test.each([
  ['', 'public'],
  ['exportTo: ["*"]', 'public'],
  ['exportTo: ["."]', 'namespace'],
  ['exportTo: [shop]', 'namespace'],
  ['exportTo: [".", "*"]', 'public'],
])('visibility of %j', (field, expected) => {
  expect(made(entry(`hosts: [a.b]\n    ${field}`)).services.get('shop/a.b')?.visibility).toBe(expected);
});

test('exported to nobody', () => {
  expect([...made(entry('hosts: [a.b]\n    exportTo: ["~"]')).services]).toEqual([]);
});

describe('who owns a host', () => {
  const host = 'hosts: [cart.shop.svc.cluster.local]\n    resolution: STATIC\n    endpoints: [{address: 10.0.0.1}]';
  const service =
    'apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {clusterIP: 10.1.0.1}\n';
  const others = (meta: string) =>
    entry('hosts: [a.b]\n    resolution: STATIC\n    endpoints: [{address: 10.0.0.2}]', meta);

  test('a service before an entry of its namespace, whose endpoints go too', () => {
    const { services, names, report } = made(entry(host), service);
    expect(services.get('shop/cart.shop.svc.cluster.local')?.addresses).toEqual([{ network: '', address: '10.1.0.1' }]);
    expect(names).toEqual([]);
    expect(lines(report.warnings)).toEqual([
      '0.yaml:3:18: ServiceEntry shop/api: spec.hosts: "cart.shop.svc.cluster.local" belongs to Service shop/cart; it is left out here',
    ]);
  });

  test('the oldest entry', () => {
    const { services } = made(
      others('name: a, namespace: shop'),
      others('name: b, namespace: shop, creationTimestamp: "2024-01-01T00:00:00Z"'),
    );
    expect(services.get('shop/a.b')?.name).toBe('b');
  });

  test('of several namespaces a service is canonical, else the oldest that all may see', () => {
    const { services } = made(entry(host, 'name: x, namespace: other'), service);
    expect(services.get('other/cart.shop.svc.cluster.local')?.canonical).toBe(false);
    expect(services.get('shop/cart.shop.svc.cluster.local')?.canonical).toBe(true);
    const hidden = entry('hosts: [a.b]\n    exportTo: ["."]', 'name: a, namespace: a');
    const three = made(hidden, others('name: c, namespace: c'), others('name: b, namespace: b')).services;
    expect(['a', 'b', 'c'].map((ns) => three.get(`${ns}/a.b`)?.canonical)).toEqual([false, true, false]);
  });
});

describe('selected', () => {
  const selecting = entry('hosts: [a.b]\n    resolution: STATIC\n    workloadSelector: {labels: {app: api}}');
  const vm = (spec: string, meta = '') => `
    apiVersion: networking.istio.io/v1
    kind: WorkloadEntry
    metadata: {name: vm, namespace: shop${meta}}
    spec: {${spec}}
  `;

  test('pods, by the names of their ports', () => {
    const pod = (name: string, port: string) => `
      apiVersion: v1
      kind: Pod
      metadata: {name: p${name}, namespace: shop, labels: {app: api}}
      spec: {containers: [{ports: [${port}]}]}
      status: {podIP: 10.2.0.${name}}
    `;
    const { workloads } = made(
      selecting,
      pod('1', '{name: http, containerPort: 7070}'),
      pod('2', '{name: x, containerPort: 1}'),
    );
    expect(workloads.get('Kubernetes//Pod/shop/p1')?.services).toEqual(
      new Map([['shop/a.b', [{ servicePort: 80, targetPort: 7070 }]]]),
    );
    expect(workloads.get('Kubernetes//Pod/shop/p2')?.services).toEqual(new Map([['shop/a.b', []]]));
  });

  test('entries, whose labels may stand in two places', () => {
    const { list } = made(
      selecting,
      vm('address: 10.3.0.1, labels: {app: api, version: v9}, ports: {http: 81}, weight: 5', ', labels: {version: v2}'),
    );
    expect(list).toEqual([
      expect.objectContaining({
        uid: 'Kubernetes/networking.istio.io/WorkloadEntry/shop/vm',
        addresses: ['10.3.0.1'],
        capacity: 5,
        canonicalName: 'api',
        canonicalRevision: 'v2',
        services: new Map([['shop/a.b', [{ servicePort: 80, targetPort: 81 }]]]),
      }),
    ]);
  });

  test('an entry by a service that names its target port', () => {
    const service = (target: string) => `
      apiVersion: v1
      kind: Service
      metadata: {name: cart, namespace: shop}
      spec: {clusterIP: 10.1.0.1, selector: {app: api}, ports: [{name: web, port: 80, targetPort: ${target}}]}
    `;
    const ports = (target: string, own: string) =>
      made(service(target), vm(`address: 10.3.0.1, labels: {app: api}, ports: {${own}: 81}`)).list[0]?.services.get(
        'shop/cart.shop.svc.cluster.local',
      );
    expect(ports('http', 'http')).toEqual([{ servicePort: 80, targetPort: 81 }]);
    expect(ports('http', 'web')).toEqual([]);
    expect(ports('8080', 'web')).toEqual([{ servicePort: 80, targetPort: 81 }]);
  });
});

describe('host names as endpoints', () => {
  const text = entry(
    'hosts: [a.b]\n    resolution: DNS\n    endpoints: [{address: One.example.com, weight: 2}, {address: 10.0.0.1}]',
  );

  test('one workload without address until it is resolved, then one for each pair of addresses', () => {
    const { builder, names } = made(text);
    expect(names).toEqual([`${prefix}/10.0.0.1`, `${prefix}/one.example.com`]);
    expect([...builder.hostnames()]).toEqual(['one.example.com']);
    expect(builder.workloads.get(`${prefix}/one.example.com`)).toMatchObject({
      addresses: [],
      hostname: 'one.example.com',
    });
    const changes = builder.resolve('one.example.com', ['192.0.2.1', '192.0.2.2', '2001:db8::1']);
    expect(
      changes.map((c) => (c.kind === 'put-workload' ? [c.workload.uid, c.workload.addresses, c.workload.capacity] : c)),
    ).toEqual([
      { kind: 'remove-workload', uid: `${prefix}/one.example.com` },
      [`${prefix}/one.example.com/192.0.2.1`, ['192.0.2.1', '2001:db8::1'], 2],
      [`${prefix}/one.example.com/192.0.2.2`, ['192.0.2.2'], 2],
    ]);
    expect(builder.resolve('one.example.com', ['192.0.2.1', '192.0.2.2', '2001:db8::1'])).toEqual([]);
  });

  test('hosts are their own endpoints when none are listed', () => {
    const { builder, list } = made(entry('hosts: [a.example.com, b.example.com]\n    resolution: DNS_ROUND_ROBIN'));
    expect([...builder.hostnames()]).toEqual(['a.example.com', 'b.example.com']);
    expect(list.map((w) => [w.hostname, [...w.services.keys()]])).toEqual([
      ['a.example.com', ['shop/a.example.com']],
      ['b.example.com', ['shop/b.example.com']],
    ]);
  });

  test('a failure is a warning at whoever asks', () => {
    const { builder } = made(text);
    builder.resolve('one.example.com', [], 'no such name');
    expect(lines(builder.warnings())).toEqual([
      '0.yaml:3:18: ServiceEntry shop/api: host name "one.example.com" is not resolved: no such name',
    ]);
    builder.resolve('one.example.com', ['192.0.2.1']);
    expect(builder.warnings()).toEqual([]);
  });
});
