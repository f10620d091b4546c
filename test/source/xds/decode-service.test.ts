// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Service } from '../../../src/mesh/service.ts';
import { check, checkService } from './decode-messages.ts';

/** A service of which nothing but its key is said. */
const plain: Service = {
  name: '',
  namespace: 'shop',
  hostname: 'cart.shop',
  addresses: [],
  ports: [],
  loadBalancing: { mode: 'standard', scopes: [], healthPolicy: 'only-healthy' },
  balancer: { policy: 'random', affinitySeconds: 0 },
  ipFamilies: 'automatic',
  canonical: false,
  visibility: 'public',
  subjectAltNames: [],
  weightedWaypoints: [],
  onEmpty: 'refuse',
};

const v4 = Buffer.from([10, 1, 2, 7]);
const v6 = Buffer.from('20010db80000000000000000000000ff', 'hex');
const mapped = Buffer.from('00000000000000000000ffff0a010207', 'hex');
const port = { port: 80, targetPort: 8080, protocol: 'any', name: '', appProtocol: '' } as const;
const waypoint = { hostname: { namespace: 'shop', hostname: 'w.shop' }, hboneMtlsPort: 15008 };
const waypointModel = {
  destination: { kind: 'hostname', namespace: 'shop', hostname: 'w.shop' },
  hboneMtlsPort: 15008,
} as const;

test.each<[string, object, Partial<Service>]>([
  ['nothing but its key', {}, {}],
  ['a name', { name: 'cart' }, { name: 'cart' }],
  [
    'addresses on networks',
    { addresses: [{ address: v4 }, { network: 'east', address: v6 }] },
    {
      addresses: [
        { network: '', address: '10.1.2.7' },
        { network: 'east', address: '2001:db8::ff' },
      ],
    },
  ],
  [
    'ranges of addresses, whose host bits do not count',
    {
      addresses: [
        { address: v4, length: 16 },
        { address: v6, length: 121 },
        { address: v4, length: 0 },
        { address: v6, length: 0 },
        { address: mapped, length: 104 },
        { address: mapped, length: 40 },
      ],
    },
    {
      addresses: [
        { network: '', address: '10.1.0.0', length: 16 },
        { network: '', address: '2001:db8::80', length: 121 },
        { network: '', address: '0.0.0.0', length: 0 },
        { network: '', address: '::', length: 0 },
        { network: '', address: '10.0.0.0', length: 8 },
        { network: '', address: '::', length: 40 },
      ],
    },
  ],
  [
    'ranges of one address, which are that address',
    {
      addresses: [
        { address: v4, length: 32 },
        { address: v6, length: 128 },
        { address: mapped, length: 128 },
      ],
    },
    {
      addresses: [
        { network: '', address: '10.1.2.7' },
        { network: '', address: '2001:db8::ff' },
        { network: '', address: '10.1.2.7' },
      ],
    },
  ],
  [
    'ports, by number and by name',
    { ports: [{ servicePort: 80, targetPort: 8080 }, { servicePort: 65535 }] },
    { ports: [port, { ...port, port: 65535, targetPort: 0 }] },
  ],
  [
    'protocols of ports',
    {
      ports: ['UNKNOWN', 'HTTP11', 'HTTP2', 'GRPC', 'TCP', 'TLS', 77].map((appProtocol, i) => ({
        servicePort: i + 1,
        targetPort: 8080,
        appProtocol,
      })),
    },
    {
      ports: ['', 'http', 'http2', 'grpc', 'tcp', 'tls', ''].map((appProtocol, i) => ({
        ...port,
        port: i + 1,
        appProtocol,
      })),
    },
  ],
  [
    'one port twice, as TCP and UDP: the last counts',
    {
      ports: [
        { servicePort: 80, targetPort: 1 },
        { servicePort: 53, targetPort: 53 },
        { servicePort: 80, targetPort: 8080 },
      ],
    },
    { ports: [port, { ...port, port: 53, targetPort: 53 }] },
  ],
  ['names of its servers', { subjectAltNames: ['spiffe://a/b', 'x'] }, { subjectAltNames: ['spiffe://a/b', 'x'] }],
  ['a waypoint', { waypoint }, { waypoint: waypointModel }],
  [
    'weighted waypoints',
    { weightedWaypoints: [{ destination: waypoint, weight: 90 }, { destination: waypoint }] },
    {
      weightedWaypoints: [
        { destination: waypointModel, weight: 90 },
        { destination: waypointModel, weight: 0 },
      ],
    },
  ],
  ['balancing that says nothing', { loadBalancing: {} }, {}],
  [
    'strict balancing',
    { loadBalancing: { mode: 'STRICT', routingPreference: ['NODE'] } },
    { loadBalancing: { mode: 'strict', scopes: ['node'], healthPolicy: 'only-healthy' } },
  ],
  [
    'failover over every scope',
    {
      loadBalancing: {
        mode: 'FAILOVER',
        routingPreference: ['NETWORK', 'CLUSTER', 'REGION', 'ZONE', 'SUBZONE', 'NODE'],
      },
    },
    {
      loadBalancing: {
        mode: 'failover',
        scopes: ['network', 'cluster', 'region', 'zone', 'subzone', 'node'],
        healthPolicy: 'only-healthy',
      },
    },
  ],
  [
    'passthrough to whoever there is',
    { loadBalancing: { mode: 'PASSTHROUGH', healthPolicy: 'ALLOW_ALL' } },
    { loadBalancing: { mode: 'passthrough', scopes: [], healthPolicy: 'allow-all' } },
  ],
  ['IPv4 only', { ipFamilies: 'IPV4_ONLY' }, { ipFamilies: 'ipv4' }],
  ['IPv6 only', { ipFamilies: 'IPV6_ONLY' }, { ipFamilies: 'ipv6' }],
  ['both families', { ipFamilies: 'DUAL' }, { ipFamilies: 'dual' }],
  ['canonical ownership', { canonical: true }, { canonical: true }],
  ['ingress by waypoint, which ingresses look at', { ingressUseWaypoint: true }, {}],
  ['visibility in its namespace', { visibility: 'NAMESPACE' }, { visibility: 'namespace' }],
  ['a visibility that is not known', { visibility: 8 }, { visibility: 'public' }],
  ['extensions, which nobody looks at', { extensions: [{ name: 'x' }] }, {}],
])('a service with %s', (_, fields, expected) => {
  expect(checkService(fields)).toEqual({
    ok: true,
    change: { kind: 'put-service', service: { ...plain, ...expected } },
  });
});

test.each<[string, object, string[]]>([
  [
    'addresses that are none',
    {
      addresses: [
        { address: v4, length: 33 },
        {},
        { address: v6, length: 129 },
        { address: Buffer.alloc(8), length: 3 },
      ],
    },
    [
      'addresses[0].length: 33, must be at most 32',
      'addresses[1].address: 0 bytes, must be 4 or 16',
      'addresses[2].length: 129, must be at most 128',
      'addresses[3].address: 8 bytes, must be 4 or 16',
    ],
  ],
  [
    'ports out of range',
    { ports: [{ servicePort: 0 }, { servicePort: 80, targetPort: 65536 }] },
    ['ports[0].service_port: 0, must be 1 to 65535', 'ports[1].target_port: 65536, must be at most 65535'],
  ],
  [
    'waypoints nowhere',
    { waypoint: {}, weightedWaypoints: [{ destination: waypoint }, { weight: 3 }, { destination: {} }] },
    [
      'waypoint: neither hostname nor address',
      'weighted_waypoints[1].destination: missing',
      'weighted_waypoints[2].destination: neither hostname nor address',
    ],
  ],
  [
    'balancing that is not known',
    { loadBalancing: { mode: 4, healthPolicy: 2, routingPreference: ['ZONE', 0, 7] }, ipFamilies: 4 },
    [
      'load_balancing.routing_preference[1]: unknown value 0',
      'load_balancing.routing_preference[2]: unknown value 7',
      'load_balancing.mode: unknown value 4',
      'load_balancing.health_policy: unknown value 2',
      'ip_families: unknown value 4',
    ],
  ],
])('a service with %s is refused, with every fault', (_, fields, faults) => {
  expect(checkService(fields)).toEqual({ ok: false, faults });
});

test('more places than any service of Istio has are refused: they would take all memory', () => {
  const addresses = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ address: Buffer.from([10, 1, i >> 8, i & 255]) }));
  const ports = (count: number) => Array.from({ length: count }, (_, i) => ({ servicePort: i + 1 }));
  expect(checkService({ addresses: addresses(256), ports: ports(256) })).toMatchObject({ ok: true });
  expect(checkService({ addresses: addresses(10_000), ports: ports(10_000) })).toEqual({
    ok: false,
    faults: ['addresses: 10000 addresses with 10000 ports each are 100000000 places, must be at most 65536'],
  });
});

test('the name of the resource must be namespace and host name', () => {
  const service = { namespace: 'shop', hostname: 'cart.shop' };
  const faults = ['hostname: "shop/cart.shop" is not the name of the resource'];
  expect(check('address', 'shop/cart', { service })).toEqual({ ok: false, faults });
  expect(check('address', 'shop/', { service: { namespace: 'shop' } })).toEqual({
    ok: false,
    faults: ['hostname: missing'],
  });
  expect(check('address', 'x', {})).toEqual({ ok: false, faults: ['neither workload nor service'] });
});
