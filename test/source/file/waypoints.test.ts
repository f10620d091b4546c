// SPDX-License-Identifier: Apache-2.0
// From Gateways and the labels that ask for them to the waypoints of services and workloads.
import { describe, expect, test } from 'vitest';
import type { Service } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { built, lines, says } from './texts.ts';

const gateway = (
  meta = 'name: way, namespace: shop',
  spec = '',
  status = 'addresses: [{type: IPAddress, value: 10.0.9.9}]',
) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {${meta}}
spec: {gatewayClassName: kmesh-waypoint${spec}}
status: {${status}}
`;
const gatewayClass = (meta: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: kmesh-waypoint, ${meta}}
spec: {controllerName: kmesh.net/waypoint}
`;
const namespace = (meta = 'labels: {istio.io/use-waypoint: way}', name = 'shop') =>
  `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, ${meta}}\n`;
const service = (meta = '', home = 'shop') =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: ${home}${meta}}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n`;
const pod = (meta = '') =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: cart-1, namespace: shop${meta}}\nstatus: {podIP: 10.1.0.1}\n`;
const use = (name = 'way', more = '') => `, labels: {istio.io/use-waypoint: ${name}${more}}`;

function make(...texts: string[]) {
  const all = built(...texts);
  expect(lines(all.report.faults)).toEqual([]);
  return {
    ...all,
    service: all.services.get('shop/cart.shop.svc.cluster.local') as Service,
    pod: all.workloads.get('Kubernetes//Pod/shop/cart-1') as Workload,
  };
}

const usable = (key = 'shop/way', more = {}) => ({
  destination: { kind: 'address', network: '', address: '10.0.9.9' },
  hboneMtlsPort: 15008,
  gateway: key,
  ...more,
});
const unusable = (reason: string, key = 'shop/way') => ({
  destination: { kind: 'unusable', reason: `Gateway ${key} ${reason}` },
  hboneMtlsPort: 15008,
  gateway: key,
});

describe('which Gateway', () => {
  test.each([
    ['the service names one', service(use()), ''],
    ['its namespace does', service(), namespace()],
    ['the service before its namespace', service(use()), namespace('labels: {istio.io/use-waypoint: other}')],
  ])('%s', (_, ...texts) => {
    expect(make(gateway(), ...texts).service.waypoint).toEqual(usable());
  });

  test('"none" is none, whatever the namespace says; so is what is a waypoint itself', () => {
    expect(make(gateway(), namespace(), service(use('none'))).service.waypoint).toBeUndefined();
    const own = ', labels: {gateway.networking.k8s.io/gateway-name: way}';
    const made = make(
      gateway('name: way, namespace: shop, labels: {istio.io/waypoint-for: all}'),
      namespace(),
      service(own),
      pod(own),
    );
    expect([made.service.waypoint, made.pod.waypoint]).toEqual([undefined, undefined]);
  });

  test('of another namespace, when that lets it', () => {
    const labels = use('way', ', istio.io/use-waypoint-namespace: infra');
    const of = (listeners: string, ...more: string[]) =>
      make(gateway('name: way, namespace: infra', `, listeners: [${listeners}]`), service(labels), ...more).service
        .waypoint;
    const from = (text: string) => `{name: mesh, port: 15008, protocol: HBONE, allowedRoutes: {namespaces: {${text}}}}`;
    const denied = unusable('takes nothing from namespace "shop"', 'infra/way');
    expect(of('{name: mesh, port: 15008}')).toEqual(denied);
    expect(of(from('from: All'))).toEqual(usable('infra/way'));
    const selector = from('from: Selector, selector: {matchLabels: {team: red}}');
    expect(of(selector)).toEqual(denied);
    expect(of(selector, namespace('labels: {team: red}'))).toEqual(usable('infra/way'));
    const named = 'matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [shop]}]';
    expect(of(from(`from: Selector, selector: {${named}}`))).toEqual(usable('infra/way'));
  });

  test('a canary takes its share', () => {
    const labels = ', labels: {istio.io/use-waypoint: way, istio.io/use-waypoint-canary: next}';
    const weight = (text: string) => `, annotations: {istio.io/use-waypoint-canary-weight: "${text}"}`;
    const next = gateway('name: next, namespace: shop');
    expect(make(gateway(), next, service(labels + weight('20'))).service.weightedWaypoints).toEqual([
      { destination: usable(), weight: 80 },
      { destination: usable('shop/next'), weight: 20 },
    ]);
    expect(make(gateway(), next, service(labels)).service.weightedWaypoints).toEqual([]);
    const { service: whole, report } = make(gateway(), next, service(labels + weight('101')));
    expect([whole.waypoint, whole.weightedWaypoints]).toEqual([usable(), []]);
    expect(lines(report.warnings)).toEqual([
      expect.stringContaining('must be a whole number from 0 to 100, not "101": there is no canary'),
    ]);
  });

  test("an empty name is that of no Gateway, not the namespace's", () => {
    const { service: one, report } = make(gateway(), namespace(), service(use('""')));
    expect(one.waypoint).toEqual(unusable('is not there', 'shop/'));
    expect(lines(report.warnings).filter((line) => line.includes('names no Gateway'))).toHaveLength(1);
  });
});

describe('what is left to the namespace', () => {
  const canary = (of: string) => `istio.io/use-waypoint-canary: ${of}`;
  const weight = (text: string) => `, annotations: {istio.io/use-waypoint-canary-weight: "${text}"}`;
  const gateways = [gateway(), gateway('name: next, namespace: shop'), gateway('name: third, namespace: shop')];
  const parts = (home: string, own: string): [string, number][] =>
    make(...gateways, namespace(home), service(own)).service.weightedWaypoints.map(({ destination, weight }) => [
      destination.gateway ?? '',
      weight,
    ]);
  const home = `labels: {istio.io/use-waypoint: way, ${canary('next')}}`;

  test.each([
    ['both', home + weight('30'), '', 'next', 30],
    ['but for the share', home + weight('30'), weight('60'), 'next', 60],
    ['but for the share, which is said nowhere else', home, weight('60'), 'next', 60],
    ['but for the canary', home + weight('30'), `, labels: {${canary('third')}}`, 'third', 30],
    [
      'the waypoint alone',
      'labels: {istio.io/use-waypoint: way}',
      `, labels: {${canary('third')}}${weight('5')}`,
      'third',
      5,
    ],
  ] as const)('%s', (_, namespaced, own, other, share) => {
    expect(parts(namespaced, own)).toEqual([
      ['shop/way', 100 - share],
      [`shop/${other}`, share],
    ]);
  });

  test('no canary: none, the waypoint itself, or where the service names a waypoint of its own', () => {
    expect(parts(home + weight('30'), `, labels: {${canary('none')}}`)).toEqual([]);
    expect(parts(home + weight('30'), `, labels: {${canary('way')}}`)).toEqual([]);
    expect(parts(home + weight('30'), use('third'))).toEqual([]);
    expect(parts(home + weight('30'), weight('0'))).toEqual([]);
    expect(lines(make(...gateways, namespace(`labels: {${canary('next')}}`), service()).report.warnings)).toEqual([
      expect.stringContaining('has no effect without istio.io/use-waypoint'),
    ]);
  });
});

describe('endpoints of a ServiceEntry', () => {
  const entry = (labels = '', more = '') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop${labels}}
spec:
  hosts: [outside.example.com]
  addresses: [10.96.0.9]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.7.7${more}}]
`;
  const all = gateway('name: way, namespace: shop, labels: {istio.io/waypoint-for: all}');
  const endpoint = (...texts: string[]) =>
    built(...texts).workloads.get('Kubernetes/networking.istio.io/ServiceEntry/shop/outside/10.0.7.7');

  test('go through the waypoint of their own labels, or of their namespace, when that takes workloads', () => {
    expect(endpoint(all, entry('', use()))?.waypoint).toEqual(usable());
    expect(endpoint(all, namespace(), entry())?.waypoint).toEqual(usable());
    expect(endpoint(all, namespace(), entry('', use('none')))?.waypoint).toBeUndefined();
    expect(endpoint(gateway(), namespace(), entry())?.waypoint).toBeUndefined();
    expect(endpoint(gateway(), entry('', use()))?.waypoint).toEqual(unusable('is for services only'));
    expect(says(entry('', use('"a b"')))).toMatch(/spec\.endpoints\[0\]\.labels.*must be the name of a Gateway/);
  });

  test('labels of the entry are about its service', () => {
    expect(endpoint(all, entry(use()))).toBeDefined();
    expect(endpoint(all, entry(use()))?.waypoint).toBeUndefined();
    expect(endpoint(all, namespace(), entry(use('none')))?.waypoint).toEqual(usable());
  });
});

describe('whose traffic', () => {
  test.each([
    ['', true, false],
    [', labels: {istio.io/waypoint-for: service}', true, false],
    [', labels: {istio.io/waypoint-for: workload}', false, true],
    [', labels: {istio.io/waypoint-for: all}', true, true],
    [', labels: {istio.io/waypoint-for: none}', false, false],
  ])('of a namespace with%s', (labels, services, workloads) => {
    const made = make(gateway(`name: way, namespace: shop${labels}`), namespace(), service(), pod());
    expect([made.service.waypoint !== undefined, made.pod.waypoint !== undefined]).toEqual([services, workloads]);
  });

  test('its class says it where it does not', () => {
    const made = make(gateway(), gatewayClass('labels: {istio.io/waypoint-for: all}'), namespace(), service(), pod());
    expect([made.service.waypoint, made.pod.waypoint]).toEqual([usable(), usable()]);
  });

  test('who asks for one that does not take it gets none that could be used', () => {
    const made = make(gateway('name: way, namespace: shop, labels: {istio.io/waypoint-for: workload}'), service(use()));
    expect(made.service.waypoint).toEqual(unusable('is for workloads only'));
  });
});

describe('where it is', () => {
  test('status before spec, a host name before an address; nowhere: nothing to use, and it is said', () => {
    const spec = ', addresses: [{type: IPAddress, value: 10.0.9.8}]';
    const host = 'addresses: [{type: IPAddress, value: 10.0.9.9}, {type: Hostname, value: way.shop.svc.cluster.local}]';
    const of = (text: string) => make(text, service(use())).service.waypoint?.destination;
    expect(of(gateway(undefined, spec, host))).toEqual({
      kind: 'hostname',
      namespace: 'shop',
      hostname: 'way.shop.svc.cluster.local',
    });
    expect(of(gateway(undefined, spec, ''))).toEqual({ kind: 'address', network: '', address: '10.0.9.8' });
    const none = make(gateway(undefined, '', ''), service(use()));
    expect(none.service.waypoint).toEqual(unusable('has no address'));
    expect(lines(none.report.warnings)).toEqual([
      expect.stringContaining('istio.io/use-waypoint: Gateway shop/way has no address'),
    ]);
    expect(make(service(use())).service.waypoint).toEqual(unusable('is not there'));
  });

  test('several addresses: all of them; several names: those alone', () => {
    const status = (...addresses: string[]) => gateway(undefined, '', `addresses: [${addresses.join(', ')}]`);
    const of = (...addresses: string[]) => make(status(...addresses), service(use())).service.waypoint;
    const ip = (value: string) => `{type: IPAddress, value: "${value}"}`;
    const named = (value: string) => `{type: Hostname, value: ${value}.shop.svc.cluster.local}`;
    expect(of(ip('10.0.9.9'), ip('fd00::9'))).toEqual(
      usable('shop/way', { also: [{ kind: 'address', network: '', address: 'fd00::9' }] }),
    );
    expect(of(ip('10.0.9.9'), named('a'), named('b'))).toMatchObject({
      destination: { hostname: 'a.shop.svc.cluster.local' },
      also: [{ kind: 'hostname', namespace: 'shop', hostname: 'b.shop.svc.cluster.local' }],
    });
  });

  test('the name of a service may go without the domain of the cluster', () => {
    const of = (name: string) =>
      make(gateway(undefined, '', `addresses: [{type: Hostname, value: ${name}}]`), service(use())).service.waypoint;
    const whole = { kind: 'hostname', namespace: 'infra', hostname: 'way.infra.svc.cluster.local' };
    expect(of('Way.infra.svc')?.destination).toEqual(whole);
    expect(of('way.infra.svc.cluster.local')?.destination).toEqual(whole);
    expect(of('way.example.svc.com')?.destination).toMatchObject({ hostname: 'way.example.svc.com' });
  });

  test('what it reads first', () => {
    const of = (meta: string, ...more: string[]) =>
      make(gateway(`name: way, namespace: shop${meta}`), service(use()), ...more).service.waypoint?.binding;
    const istio = (text: string) => `annotations: {ambient.istio.io/waypoint-inbound-binding: ${text}}`;
    const own = (text: string) => `annotations: {kmesh.net/waypoint-binding: ${text}}`;
    expect(of('')).toBeUndefined();
    expect(of(`, ${istio('PROXY/8080')}`)).toEqual({ header: 'proxy', port: 8080 });
    expect(of(`, ${istio('NONE')}`)).toEqual({ header: 'none', port: 0 });
    expect(of(`, ${own('KMESH')}`, gatewayClass(istio('PROXY')))).toEqual({ header: 'kmesh', port: 15019 });
    expect(of('', gatewayClass(istio('PROXY')))).toEqual({ header: 'proxy', port: 15088 });
    expect(says(gateway(`name: way, ${istio('KMESH')}`))).toContain('must be PROXY or NONE, with /PORT or without');
    expect(says(gateway(`name: way, ${own('PROXY/0')}`))).toContain('must be PROXY, KMESH or NONE');
  });

  test('what becomes of connections while it cannot be used: the service before its namespace', () => {
    const unready = (how: string) => `annotations: {kmesh.net/waypoint-unready: ${how}}`;
    const home = namespace(`labels: {istio.io/use-waypoint: way}, ${unready('direct')}`);
    expect(make(home, service()).service.waypointUnready).toBe('direct');
    expect(make(home, service(`, ${unready('refuse')}`)).service.waypointUnready).toBe('refuse');
    expect(says(service(`, ${unready('maybe')}`))).toContain('must be one of refuse, direct, not "maybe"');
  });

  test('whose server speaks first', () => {
    const first = (value: string) => `, annotations: {kmesh.net/server-first: ${value}}`;
    const of = (meta: string) => make(service(meta)).service.ports.map((port) => port.serverFirst);
    expect(of('')).toEqual([undefined]);
    expect(of(first('"80"'))).toEqual([true]);
    expect(of(first('none'))).toEqual([false]);
    expect(says(service(first('"80, mysql"')))).toContain('must be numbers of ports or "none", not "80, mysql"');
    expect(lines(make(service(first('"80,81"'))).report.warnings)).toEqual([
      expect.stringContaining('names ports that are not there: 81'),
    ]);
  });
});

test('a Gateway that comes late reaches all that wait for it', () => {
  const made = make(namespace(), service(), pod());
  expect(made.service.waypoint).toEqual(unusable('is not there'));
  const after = make(
    namespace(),
    service(),
    pod(),
    gateway('name: way, namespace: shop, labels: {istio.io/waypoint-for: all}'),
  );
  expect([after.service.waypoint, after.pod.waypoint]).toEqual([usable(), usable()]);
  expect(after.changes.find((c) => c.kind === 'put-gateway')).toEqual({
    kind: 'put-gateway',
    gateway: {
      namespace: 'shop',
      name: 'way',
      className: 'kmesh-waypoint',
      waypointFor: 'all',
      addresses: [{ kind: 'address', network: '', address: '10.0.9.9' }],
    },
  });
});
