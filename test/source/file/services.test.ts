// SPDX-License-Identifier: Apache-2.0
// From documents to services of the model.
import { describe, expect, test } from 'vitest';
import type { Service } from '../../../src/mesh/service.ts';
import { built, lines } from './texts.ts';

const head = 'apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop';
const service = (spec: string, meta = '', ...more: string[]): Service => {
  const { services, report } = built(`${head}${meta}}\nspec:\n  clusterIP: 10.0.0.1\n${spec}`, ...more);
  expect(lines(report.faults)).toEqual([]);
  return services.get('shop/cart.shop.svc.cluster.local') as Service;
};
const rule = (loadBalancer: string, meta = 'name: cart, namespace: shop', host = 'cart', more = '') => `
  apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {${meta}}
  spec: {host: ${host}${more}, trafficPolicy: {outlierDetection: {}, loadBalancer: ${loadBalancer}}}
`;

test('a plain service', () => {
  expect(
    service('  ports: [{port: 80, name: http-web, targetPort: 8080}, {port: 53, name: dns, protocol: UDP}]\n'),
  ).toEqual({
    name: 'cart',
    namespace: 'shop',
    hostname: 'cart.shop.svc.cluster.local',
    addresses: [{ network: '', address: '10.0.0.1' }],
    ports: [
      { port: 80, targetPort: 8080, protocol: 'tcp', name: 'http-web', appProtocol: 'http' },
      { port: 53, targetPort: 53, protocol: 'udp', name: 'dns', appProtocol: '' },
    ],
    loadBalancing: { mode: 'standard', scopes: [], healthPolicy: 'only-healthy' },
    balancer: { policy: 'random', affinitySeconds: 0 },
    ipFamilies: 'automatic',
    canonical: true,
    visibility: 'public',
    subjectAltNames: [],
    weightedWaypoints: [],
    onEmpty: 'refuse',
  });
});

test.each([
  ['clusterIPs: ["10.0.0.2", "FD00::2"]', ['10.0.0.2', 'fd00::2']],
  ['clusterIPs: [None]', []],
  ['externalIPs: [192.0.2.1, 10.0.0.1]', ['10.0.0.1', '192.0.2.1']],
])('addresses: %s', (field, expected) => {
  expect(service(`  ${field}\n`).addresses.map((a) => a.address)).toEqual(expected);
});

test('addresses of a load balancer lead straight to the endpoints', () => {
  const made = service(
    'status: {loadBalancer: {ingress: [{ip: 192.0.2.9, ipMode: VIP}, {ip: 192.0.2.8, ipMode: Proxy}]}}\n',
  );
  expect(made.addresses.map((a) => a.address)).toEqual(['10.0.0.1', '192.0.2.9']);
});

test.each([
  ['ipFamilies: [IPv4]', 'ipv4'],
  ['ipFamilies: [IPv6]', 'ipv6'],
  ['ipFamilies: [IPv6, IPv4]\n  ipFamilyPolicy: RequireDualStack', 'dual'],
])('families: %s', (field, expected) => {
  expect(service(`  ${field}\n`).ipFamilies).toBe(expected);
});

test.each([
  ['sessionAffinity: ClientIP', 10800],
  ['sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}', 60],
  ['sessionAffinity: None\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}', 0],
])('affinity: %s', (field, expected) => {
  expect(service(`  ${field}\n`).balancer.affinitySeconds).toBe(expected);
});

const zone = ['network', 'region', 'zone'];
const node = ['network', 'region', 'zone', 'subzone', 'node'];
const annotated = (value: string) => `annotations: {networking.istio.io/traffic-distribution: ${value}}`;
const namespace = (value: string) => `
  apiVersion: v1
  kind: Namespace
  metadata: {name: shop, ${annotated(value)}}
`;

test.each([
  ['', '', '', 'standard', []],
  ['internalTrafficPolicy: Local', '', '', 'strict', ['node']],
  ['internalTrafficPolicy: Local\n  trafficDistribution: PreferClose', '', '', 'strict', ['node']],
  ['trafficDistribution: PreferClose', '', '', 'failover', zone],
  ['trafficDistribution: PreferSameZone', '', '', 'failover', zone],
  ['trafficDistribution: PreferSameNode', annotated('PreferClose'), '', 'failover', node],
  ['', annotated('preferclose'), 'PreferSameNode', 'failover', zone],
  ['', '', 'PreferSameNode', 'failover', node],
  ['', annotated('Any'), 'PreferSameNode', 'standard', []],
])('distribution: %j %j %j', (field, meta, ofNamespace, mode, scopes) => {
  const made = service(
    field === '' ? '' : `  ${field}\n`,
    meta === '' ? '' : `, ${meta}`,
    ...(ofNamespace === '' ? [] : [namespace(ofNamespace)]),
  );
  expect(made.loadBalancing).toEqual({ mode, scopes, healthPolicy: 'only-healthy' });
});

test('endpoints that are not ready, and nobody left', () => {
  expect(service('  publishNotReadyAddresses: true\n').loadBalancing.healthPolicy).toBe('allow-all');
  expect(service('', ', annotations: {kmesh.net/on-empty: direct}').onEmpty).toBe('direct');
});

test.each([
  ['{port: 80, appProtocol: HTTP}', 'http'],
  ['{port: 80, appProtocol: kubernetes.io/h2c}', 'http2'],
  ['{port: 80, appProtocol: custom, name: http}', ''],
  ['{port: 80, name: grpc-web-x}', 'grpc'],
  ['{port: 80, name: https}', 'tls'],
  ['{port: 80, name: httpx}', ''],
  ['{port: 80}', ''],
])('application protocol of %s', (port, expected) => {
  expect(service(`  ports: [${port}]\n`).ports[0]?.appProtocol).toBe(expected);
});

test('an ExternalName is no service', () => {
  const { services } = built(`${head}}\nspec: {type: ExternalName, externalName: example.com}\n`);
  expect([...services]).toEqual([]);
});

describe('rules', () => {
  test.each([
    ['{simple: ROUND_ROBIN}', 'round-robin'],
    ['{simple: LEAST_CONN}', 'least-request'],
    ['{simple: LEAST_REQUEST}', 'least-request'],
    ['{simple: RANDOM}', 'random'],
    ['{simple: UNSPECIFIED}', 'random'],
    ['{consistentHash: {useSourceIp: true}}', 'source-hash'],
    ['{consistentHash: {useSourceIp: false}}', 'random'],
  ])('policy of %s', (balancer, expected) => {
    expect(service('', '', rule(balancer)).balancer.policy).toBe(expected);
  });

  test.each([
    ['{httpHeaderName: X-User}', { kind: 'header', name: 'x-user' }],
    ['{httpQueryParameterName: User}', { kind: 'query', name: 'User' }],
    ['{httpCookie: {name: u, ttl: 0s, path: /}}', { kind: 'cookie', name: 'u', lifetime: 0, path: '/' }],
    ['{httpCookie: {name: u}}', { kind: 'cookie', name: 'u' }],
  ])('hash of requests by %s is for waypoints', (hash, requestHash) => {
    const { balancer } = service('', '', rule(`{consistentHash: ${hash}}`));
    expect(balancer).toEqual({ policy: 'random', affinitySeconds: 0, requestHash });
  });

  test('passthrough leaves connections alone', () => {
    const made = service('', '', rule('{simple: PASSTHROUGH}'));
    expect(made.loadBalancing).toEqual({ mode: 'passthrough', scopes: [], healthPolicy: 'allow-all' });
  });

  const locality = (setting: string, field = '') => {
    const made = service(field, '', rule(`{localityLbSetting: ${setting}}`));
    return { mode: made.loadBalancing.mode, scopes: made.loadBalancing.scopes, locality: made.locality };
  };

  test.each([
    ['{}', '', { mode: 'standard', scopes: [], locality: { distribute: [], failover: [] } }],
    [
      '{failover: [{from: eu, to: us}]}',
      '  trafficDistribution: PreferClose\n',
      { mode: 'standard', scopes: [], locality: { distribute: [], failover: [{ from: 'eu', to: 'us' }] } },
    ],
    ['{enabled: false}', '  trafficDistribution: PreferClose\n', { mode: 'standard', scopes: [], locality: undefined }],
    [
      '{failoverPriority: [topology.istio.io/network, topology.kubernetes.io/zone, kubernetes.io/hostname]}',
      '',
      { mode: 'failover', scopes: ['network', 'zone', 'node'], locality: undefined },
    ],
    [
      '{distribute: [{from: "eu/*", to: {"eu/1/*": 80, us: 20}}]}',
      '  internalTrafficPolicy: Local\n',
      {
        mode: 'strict',
        scopes: ['node'],
        locality: {
          distribute: [
            {
              from: 'eu/*',
              to: new Map([
                ['eu/1/*', 80],
                ['us', 20],
              ]),
            },
          ],
          failover: [],
        },
      },
    ],
  ])('locality settings %s', (setting, field, expected) => {
    expect(locality(setting, field)).toEqual(expected);
  });

  const least = (meta: string, host = 'cart', more = '') => rule('{simple: LEAST_REQUEST}', meta, host, more);
  const robin = (meta: string, host = 'cart', more = '') => rule('{simple: ROUND_ROBIN}', meta, host, more);
  const full = 'cart.shop.svc.cluster.local';

  test.each([
    ['its short name counts in its own namespace only', [least('name: r, namespace: other')], 'random'],
    ['its full name', [least('name: r, namespace: shop', full)], 'least-request'],
    ['a dotted short name is another host', [least('name: r, namespace: shop', 'cart.shop')], 'random'],
    ["a client's namespace", [least('name: r, namespace: other', full)], 'random'],
    ['the root namespace', [least('name: r, namespace: istio-system', full)], 'least-request'],
    [
      'its namespace before the root',
      [robin('name: r, namespace: istio-system', full), least('name: r, namespace: shop', '"*"')],
      'least-request',
    ],
    [
      'the exact host before wildcards',
      [robin('name: a, namespace: shop', '"*.svc.cluster.local"'), least('name: b, namespace: shop')],
      'least-request',
    ],
    [
      'the longer wildcard',
      [robin('name: a, namespace: shop', '"*.local"'), least('name: b, namespace: shop', '"*.shop.svc.cluster.local"')],
      'least-request',
    ],
    [
      'the oldest',
      [
        robin('name: a, namespace: shop, creationTimestamp: "2024-02-01T00:00:00Z"'),
        least('name: b, namespace: shop, creationTimestamp: "2024-01-01T00:00:00Z"', full),
        robin('name: c, namespace: shop'),
      ],
      'least-request',
    ],
    ['exported to itself', [least('name: r, namespace: shop', 'cart', ', exportTo: ["."]')], 'least-request'],
    ['exported elsewhere', [least('name: r, namespace: shop', 'cart', ', exportTo: [other]')], 'random'],
    ['the root, for itself', [least('name: r, namespace: istio-system', full, ', exportTo: ["."]')], 'random'],
    [
      'the root, for this one',
      [least('name: r, namespace: istio-system', full, ', exportTo: [shop]')],
      'least-request',
    ],
    [
      'for some clients only',
      [least('name: r, namespace: shop', 'cart', ', workloadSelector: {matchLabels: {a: b}}')],
      'random',
    ],
  ])('which holds: %s', (_, rules, expected) => {
    expect(service('', '', ...rules).balancer.policy).toBe(expected);
  });

  test('one that is kept out by another is a warning', () => {
    const { report } = built(least('name: b, namespace: shop'), least('name: a, namespace: shop', full));
    expect(lines(report.warnings).filter((line) => line.includes('ruled'))).toEqual([
      '0.yaml:3:18: DestinationRule shop/b: spec.host: "cart.shop.svc.cluster.local" is ruled by a, which comes first',
    ]);
  });
});
