// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Workload } from '../../../src/mesh/workload.ts';
import { openDecoder } from '../../../src/source/xds/decode/decoder.ts';
import type { Checked } from '../../../src/source/xds/types.ts';
import { check, checkWorkload, encode, resource } from './decode-messages.ts';

const uid = 'k//Pod/shop/cart-1';

/** A workload of which nothing but the uid is said. */
const plain: Workload = {
  uid,
  name: '',
  namespace: '',
  addresses: [],
  hostname: '',
  network: '',
  clusterId: 'Kubernetes',
  trustDomain: 'cluster.local',
  serviceAccount: 'default',
  node: '',
  workloadName: '',
  workloadType: 'deployment',
  canonicalName: '',
  canonicalRevision: '',
  locality: { region: '', zone: '', subzone: '' },
  status: 'healthy',
  capacity: 1,
  hostNetwork: false,
  services: new Map(),
  authorizationPolicies: [],
  tunnelProtocol: 'none',
  nativeTunnel: false,
};

const v4 = Buffer.from([10, 1, 0, 7]);
const v6 = Buffer.from('20010db8000000000000000000000007', 'hex');
const gateway = { hostname: { namespace: 'istio-system', hostname: 'gw.istio-system' }, hboneMtlsPort: 15008 };
const gatewayModel = {
  destination: { kind: 'hostname', namespace: 'istio-system', hostname: 'gw.istio-system' },
  hboneMtlsPort: 15008,
} as const;

test.each<[string, object, Partial<Workload>]>([
  ['nothing but its uid', {}, {}],
  ['names', { name: 'cart-1', namespace: 'shop' }, { name: 'cart-1', namespace: 'shop' }],
  ['names that are not ASCII', { name: 'kärtchen', node: 'knöten' }, { name: 'kärtchen', node: 'knöten' }],
  ['addresses of both families', { addresses: [v4, v6] }, { addresses: ['10.1.0.7', '2001:db8::7'] }],
  [
    'a v4-mapped address',
    { addresses: [Buffer.from('00000000000000000000ffff0a010007', 'hex')] },
    { addresses: ['10.1.0.7'] },
  ],
  ['a host name', { hostname: 'db.example.com' }, { hostname: 'db.example.com' }],
  ['a network', { network: 'east' }, { network: 'east' }],
  ['HBONE', { tunnelProtocol: 'HBONE' }, { tunnelProtocol: 'hbone' }],
  ['a trust domain', { trustDomain: 'example.org' }, { trustDomain: 'example.org' }],
  ['a service account', { serviceAccount: 'cart' }, { serviceAccount: 'cart' }],
  ['a waypoint by name', { waypoint: gateway }, { waypoint: gatewayModel }],
  [
    'a waypoint by address',
    { waypoint: { address: { network: 'east', address: v6 } } },
    {
      waypoint: { destination: { kind: 'address', network: 'east', address: '2001:db8::7' }, hboneMtlsPort: 0 },
    },
  ],
  ['a network gateway', { networkGateway: gateway }, { networkGateway: gatewayModel }],
  ['a node', { node: 'node-a' }, { node: 'node-a' }],
  [
    'what telemetry shows',
    { canonicalName: 'cart', canonicalRevision: 'v2', workloadName: 'cart-deploy', workloadType: 'JOB' },
    { canonicalName: 'cart', canonicalRevision: 'v2', workloadName: 'cart-deploy', workloadType: 'job' },
  ],
  ['a type of workload that is not known', { workloadType: 17 }, { workloadType: 'deployment' }],
  ['a tunnel of its own', { nativeTunnel: true }, { nativeTunnel: true }],
  [
    'an application tunnel',
    { applicationTunnel: { protocol: 'PROXY', port: 15088 } },
    { applicationTunnel: { protocol: 'proxy', port: 15088 } },
  ],
  [
    'an application tunnel that says nothing',
    { applicationTunnel: {} },
    { applicationTunnel: { protocol: 'none', port: 0 } },
  ],
  [
    'services with ports of its own',
    {
      services: {
        'shop/cart.shop': { ports: [{ servicePort: 80, targetPort: 8080 }, { servicePort: 90 }] },
        'a/b/c': {},
      },
    },
    {
      services: new Map([
        [
          'shop/cart.shop',
          [
            { servicePort: 80, targetPort: 8080 },
            { servicePort: 90, targetPort: 0 },
          ],
        ],
        ['a/b/c', []],
      ]),
    },
  ],
  [
    'one service port twice: the last counts',
    {
      services: {
        'a/b': {
          ports: [
            { servicePort: 53, targetPort: 1 },
            { servicePort: 53, targetPort: 2 },
          ],
        },
      },
    },
    { services: new Map([['a/b', [{ servicePort: 53, targetPort: 2 }]]]) },
  ],
  [
    'policies in their order',
    { authorizationPolicies: ['shop/b', 'shop/a'] },
    { authorizationPolicies: ['shop/b', 'shop/a'] },
  ],
  ['ill health', { status: 'UNHEALTHY' }, { status: 'unhealthy' }],
  ['a cluster', { clusterId: 'east-1' }, { clusterId: 'east-1' }],
  [
    'a locality',
    { locality: { region: 'r', zone: 'z', subzone: 's' } },
    { locality: { region: 'r', zone: 'z', subzone: 's' } },
  ],
  ["its node's network", { networkMode: 'HOST_NETWORK' }, { hostNetwork: true }],
  ['a capacity', { capacity: { value: 30 } }, { capacity: 30 }],
  ['a capacity of 0', { capacity: { value: 0 } }, { capacity: 0 }],
  ['the largest capacity', { capacity: { value: 4294967295 } }, { capacity: 4294967295 }],
  ['extensions, which nobody looks at', { extensions: [{ name: 'x', config: { type_url: 'y' } }] }, {}],
])('a workload with %s', (_, fields, expected) => {
  expect(checkWorkload(fields)).toEqual({
    ok: true,
    change: { kind: 'put-workload', workload: { ...plain, ...expected } },
  });
});

test.each<[string, object, string[]]>([
  [
    'addresses that are none',
    { addresses: [v4, Buffer.from([1, 2, 3]), Buffer.alloc(0)] },
    ['addresses[1]: 3 bytes, must be 4 or 16', 'addresses[2]: 0 bytes, must be 4 or 16'],
  ],
  [
    'the mTLS of before',
    { tunnelProtocol: 'LEGACY_ISTIO_MTLS' },
    ['tunnel_protocol: LEGACY_ISTIO_MTLS cannot be spoken'],
  ],
  ['a tunnel that is not known', { tunnelProtocol: 9 }, ['tunnel_protocol: unknown value 9']],
  ['a status that is not known', { status: -1 }, ['status: unknown value -1']],
  ['a network mode that is not known', { networkMode: 2 }, ['network_mode: unknown value 2']],
  ['a waypoint nowhere', { waypoint: { hboneMtlsPort: 1 } }, ['waypoint: neither hostname nor address']],
  [
    'gateways with faults',
    {
      waypoint: { address: { address: Buffer.alloc(5) }, hboneMtlsPort: 70000 },
      networkGateway: { hostname: {}, hboneMtlsPort: 65536 },
    },
    [
      'waypoint.address.address: 5 bytes, must be 4 or 16',
      'waypoint.hbone_mtls_port: 70000, must be at most 65535',
      'network_gateway.hbone_mtls_port: 65536, must be at most 65535',
    ],
  ],
  [
    'an application tunnel with faults',
    { applicationTunnel: { protocol: 5, port: 65536 } },
    ['application_tunnel.protocol: unknown value 5', 'application_tunnel.port: 65536, must be at most 65535'],
  ],
  [
    'an identity that ends like another one',
    { serviceAccount: 'a/ns/prod/sa/admin', trustDomain: 'x/ns/prod', namespace: 'n'.repeat(64) },
    [
      `namespace: "${'n'.repeat(64)}" cannot be one`,
      'trust_domain: "x/ns/prod" cannot be one',
      'service_account: "a/ns/prod/sa/admin" cannot be one',
    ],
  ],
  [
    'services with faults',
    { services: { cart: {}, 'a/b': { ports: [{ targetPort: 1 }, { servicePort: 65536, targetPort: 70000 }] } } },
    [
      'services[0].key: "cart" is not "namespace/hostname"',
      'services[1].ports[0].service_port: 0, must be 1 to 65535',
      'services[1].ports[1].service_port: 65536, must be 1 to 65535',
      'services[1].ports[1].target_port: 70000, must be at most 65535',
    ],
  ],
])('a workload with %s is refused, with every fault', (_, fields, faults) => {
  expect(checkWorkload(fields)).toEqual({ ok: false, faults });
});

test('the name of the resource must be the uid', () => {
  const faults = ['uid: "k//Pod/a" is not the name of the resource'];
  expect(check('address', 'k//Pod/b', { workload: { uid: 'k//Pod/a' } })).toEqual({ ok: false, faults });
  expect(check('address', 'b', { workload: {} })).toEqual({ ok: false, faults: ['uid: missing'] });
  expect(check('address', '', { workload: {} })).toEqual({ ok: false, faults: ['uid: missing'] });
});

test('a long list of ports is read once for the workloads of a service one after the other, and anew where it differs', () => {
  const decoder = openDecoder();
  const portsOf = (target: number) =>
    Array.from({ length: 2000 }, (_, i) => ({ servicePort: i + 1, targetPort: i === 1999 ? target : 8080 }));
  const read = (n: number, services: object) => {
    const own = `${uid}-${n}`;
    return decoder.check('address', resource('address', own, encode('address', { workload: { uid: own, services } })));
  };
  const servicesOf = (checked: Checked) => {
    if (!checked.ok || checked.change.kind !== 'put-workload') throw new Error('refused');
    return checked.change.workload.services;
  };
  const first = servicesOf(read(1, { 'shop/cart.shop': { ports: portsOf(9000) } }));
  expect(first.get('shop/cart.shop')?.at(-1)).toEqual({ servicePort: 2000, targetPort: 9000 });
  expect(servicesOf(read(2, { 'shop/cart.shop': { ports: portsOf(9000) } }))).toBe(first);
  const renamed = servicesOf(read(3, { 'shop/till.shop': { ports: portsOf(9000) } }));
  expect([...renamed.keys()]).toEqual(['shop/till.shop']);
  expect(renamed.get('shop/till.shop')).toBe(first.get('shop/cart.shop'));
  const both = servicesOf(
    read(4, { 'shop/cart.shop': { ports: portsOf(9000) }, 'shop/till.shop': { ports: portsOf(9001) } }),
  );
  expect([...both.keys()]).toEqual(['shop/cart.shop', 'shop/till.shop']);
  expect([...both.values()].map((ports) => ports.at(-1)?.targetPort)).toEqual([9000, 9001]);

  // What is wrong is not remembered: it is told of each that has it.
  const wrong = { 'shop/cart.shop': { ports: portsOf(70_000) } };
  const faults = ['services[0].ports[1999].target_port: 70000, must be at most 65535'];
  expect(read(5, wrong)).toMatchObject({ ok: false, faults });
  expect(read(6, wrong)).toMatchObject({ ok: false, faults });
  expect(servicesOf(read(7, { 'shop/till.shop': { ports: portsOf(9001) } })).get('shop/till.shop')).toHaveLength(2000);
});
