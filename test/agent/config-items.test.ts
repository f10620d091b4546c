// SPDX-License-Identifier: Apache-2.0
// The model as config_dump shows it: key names, spellings, what is left out; in order, in parts, and never for long at once.
import { describe, expect, it } from 'vitest';
import type { ConfigQuery } from '../../src/admin/routes.ts';
import type { ConfigItem } from '../../src/admin/types.ts';
import { configItems } from '../../src/agent/config-items.ts';
import { policyJson, serviceJson, workloadJson } from '../../src/agent/ztunnel-json.ts';
import { apply } from '../../src/mesh/apply.ts';
import type { GatewayAddress, GatewayDestination } from '../../src/mesh/gateway.ts';
import type { Model } from '../../src/mesh/model.ts';
import type { Match, Policy } from '../../src/mesh/policy.ts';
import type { Origin } from '../../src/source/combine.ts';
import { model, port, service, shop, workload } from '../mesh/make.ts';

const noMatch: Match = {
  ...{ namespaces: [], notNamespaces: [], principals: [], notPrincipals: [], serviceAccounts: [] },
  ...{ notServiceAccounts: [], sourceIps: [], notSourceIps: [], destinationIps: [], notDestinationIps: [] },
  ...{ destinationPorts: [], notDestinationPorts: [] },
};
const policy: Policy = {
  ...{ name: 'p', namespace: 'shop', scope: 'selector', action: 'deny', dryRun: false },
  rules: [
    [
      [
        {
          ...noMatch,
          namespaces: [
            { kind: 'exact', value: 'a' },
            { kind: 'prefix', value: 'b' },
          ],
          notPrincipals: [{ kind: 'suffix', value: 'c' }, { kind: 'presence' }],
          serviceAccounts: [{ namespace: 'n', serviceAccount: 's' }],
          notSourceIps: [{ address: '10.0.0.0', length: 8 }],
          destinationPorts: [80],
        },
        noMatch,
      ],
      [],
    ],
    [],
  ],
};

const nobody = (): Origin => ({ source: 'files', shadows: [] });
async function all(m: Model, query: ConfigQuery = {}, origin = nobody): Promise<ConfigItem[]> {
  const out: ConfigItem[] = [];
  for await (const item of configItems(m, origin, query)) out.push(item);
  return out;
}
const names = (items: readonly ConfigItem[]) => items.map(({ kind, name }) => `${kind} ${name}`);

describe('objects as ztunnel prints them', () => {
  it('prints a waypoint by its first address, and further ones as ours', () => {
    const [destination, more] = ['192.0.2.1', '192.0.2.2'].map(
      (address) => ({ kind: 'address', network: 'n', address }) as const,
    ) as [GatewayDestination, GatewayDestination];
    const of = (waypoint: GatewayAddress) => workloadJson(workload('w', { waypoint })).waypoint;
    expect(of({ destination, hboneMtlsPort: 7 })).toEqual({ destination: 'n/192.0.2.1', hboneMtlsPort: 7 });
    expect(of({ destination, also: [more], hboneMtlsPort: 7 })).toEqual({
      ...{ destination: 'n/192.0.2.1', hboneMtlsPort: 7, kmesh: { also: ['n/192.0.2.2'] } },
    });
  });

  it('prints a workload', () => {
    const bare = workload('w', { workloadName: '', services: new Map() });
    expect(workloadJson(bare)).toEqual({
      ...{
        workloadIps: ['10.0.0.1'],
        protocol: 'TCP',
        networkMode: 'Standard',
        uid: 'w',
        name: 'w',
        namespace: 'shop',
      },
      ...{ workloadType: 'pod', status: 'Healthy', clusterId: '', capacity: 1 },
    });
    const full = workload('w', {
      addresses: ['10.0.0.1', 'fd00::1'],
      waypoint: { destination: { kind: 'hostname', namespace: 'n', hostname: 'w.test' }, hboneMtlsPort: 15008 },
      networkGateway: { destination: { kind: 'address', network: 'net', address: '10.9.9.9' }, hboneMtlsPort: 15009 },
      ...{ tunnelProtocol: 'hbone', hostNetwork: true, trustDomain: 'cluster.local', serviceAccount: 'sa' },
      ...{ network: 'net', workloadName: 'd', workloadType: 'deployment', canonicalName: 'c', canonicalRevision: 'v1' },
      ...{ hostname: 'h.test', node: 'n1', nativeTunnel: true, applicationTunnel: { protocol: 'proxy', port: 8081 } },
      ...{ authorizationPolicies: ['shop/p'], status: 'unhealthy', clusterId: 'k', capacity: 3 },
      locality: { region: 'r', zone: 'z', subzone: '' },
    });
    expect(workloadJson(full)).toEqual({
      workloadIps: ['10.0.0.1', 'fd00::1'],
      waypoint: { destination: 'n/w.test', hboneMtlsPort: 15008 },
      networkGateway: { destination: 'net/10.9.9.9', hboneMtlsPort: 15009 },
      ...{ protocol: 'HBONE', networkMode: 'HostNetwork', uid: 'w', name: 'w', namespace: 'shop' },
      ...{ trustDomain: 'cluster.local', serviceAccount: 'sa', network: 'net', workloadName: 'd' },
      ...{ workloadType: 'deployment', canonicalName: 'c', canonicalRevision: 'v1', hostname: 'h.test', node: 'n1' },
      ...{ nativeTunnel: true, applicationTunnel: { protocol: 'PROXY', port: 8081 } },
      ...{ authorizationPolicies: ['shop/p'], status: 'Unhealthy', clusterId: 'k' },
      ...{ locality: { region: 'r', zone: 'z', subzone: '' }, services: [shop], capacity: 3 },
    });
  });

  it('prints a service, and what ztunnel has no field for apart', () => {
    const plain = service({ ports: [port(80, { protocol: 'any' })] });
    expect(serviceJson(plain)).toEqual({
      ...{ name: plain.name, namespace: 'shop', hostname: plain.hostname, vips: ['/10.96.0.1'], ports: { 80: 8080 } },
      ...{ endpoints: {}, subjectAltNames: [], canonical: plain.canonical, visibility: 'Public' },
    });
    const gateway = {
      destination: { kind: 'address', network: '', address: '10.9.9.9' },
      hboneMtlsPort: 15008,
    } as const;
    const full = service({
      addresses: [
        { network: 'net', address: '10.96.0.1' },
        { network: '', address: '10.97.0.0', length: 16 },
      ],
      ports: [port(53, { protocol: 'tcp', targetPort: 5353 }), port(53, { protocol: 'udp', targetPort: 5354 })],
      loadBalancing: { mode: 'failover', scopes: ['network', 'subzone'], healthPolicy: 'allow-all' },
      balancer: { policy: 'least-request', affinitySeconds: 60 },
      locality: { distribute: [{ from: '*', to: new Map([['r1', 100]]) }], failover: [] },
      ...{ ipFamilies: 'dual', canonical: true, visibility: 'namespace', subjectAltNames: ['spiffe://x'] },
      waypoint: gateway,
      weightedWaypoints: [{ destination: gateway, weight: 3 }],
      onEmpty: 'direct',
    });
    expect(serviceJson(full)).toMatchObject({
      vips: ['net/10.96.0.1'],
      cidrVips: [{ network: '', cidr: '10.97.0.0/16' }],
      ports: { 53: 5353 },
      loadBalancer: { routingPreferences: ['Network', 'Subzone'], mode: 'Failover', healthPolicy: 'AllowAll' },
      ...{ ipFamilies: 'Dual', canonical: true, visibility: 'Namespace', subjectAltNames: ['spiffe://x'] },
      waypoint: { destination: '/10.9.9.9', hboneMtlsPort: 15008 },
      weightedWaypoints: [{ destination: { destination: '/10.9.9.9', hboneMtlsPort: 15008 }, weight: 3 }],
      kmesh: {
        ports: [
          { port: 53, protocol: 'tcp', targetPort: 5353 },
          { port: 53, protocol: 'udp', targetPort: 5354 },
        ],
        ...{ policy: 'least-request', affinitySeconds: 60, onEmpty: 'direct' },
        ...{ distribute: [{ from: '*', to: { r1: 100 } }], failover: [] },
      },
    });
  });

  it('prints a policy', () => {
    expect(policyJson(policy)).toEqual({
      ...{ name: 'p', namespace: 'shop', scope: 'WorkloadSelector', action: 'Deny', dryRun: false },
      rules: [
        [
          [
            {
              namespaces: [{ Exact: 'a' }, { Prefix: 'b' }],
              notPrincipals: [{ Suffix: 'c' }, { Presence: [] }],
              serviceAccounts: [{ namespace: 'n', serviceAccount: 's' }],
              notSourceIps: ['10.0.0.0/8'],
              destinationPorts: [80],
            },
            {},
          ],
          [],
        ],
        [],
      ],
    });
  });
});

describe('items of the model', () => {
  const mapped = { servicePort: 80, targetPort: 9090 };
  const workloads = [
    workload('b', { services: new Map([[shop, [mapped]]]) }),
    workload('sick', { status: 'unhealthy' }),
    workload('a', {
      services: new Map([
        ['shop/gone.test', []],
        [shop, []],
      ]),
    }),
  ];
  const held = apply(model([service({ ports: [port(80)] })], workloads), [{ kind: 'put-policy', policy }]).model;

  it('lists endpoints of unknown services, workloads, services and policies, each by name', async () => {
    const items = await all(held);
    expect(names(items)).toEqual([
      'staged shop/gone.test',
      ...['workload a', 'workload b', 'workload sick'],
      `service ${shop}`,
      'policy shop/p',
    ]);
    expect(items[0]?.fields).toEqual({ a: { workloadUid: 'a', port: {}, status: 'Healthy' } });
    expect(items[4]?.fields.endpoints).toEqual({
      a: { workloadUid: 'a', port: {}, status: 'Healthy' },
      b: { workloadUid: 'b', port: { 80: 9090 }, status: 'Healthy' },
    });
    expect(items.some((item) => 'origin' in item)).toBe(false);
  });

  it('filters, limits, and tells origins when asked', async () => {
    expect(names(await all(held, { filter: 'shop/' }))).toEqual([
      'staged shop/gone.test',
      `service ${shop}`,
      'policy shop/p',
    ]);
    expect(names(await all(held, { kind: 'workload', limit: 2 }))).toEqual(['workload a', 'workload b']);
    expect(await all(held, { limit: 0 })).toEqual([]);
    const items = await all(held, { kind: 'policy', origin: true }, () => ({ source: 'xds', shadows: ['files'] }));
    expect(items).toMatchObject([{ kind: 'policy', origin: 'xds', shadows: ['files'] }]);
    expect((await all(held, { kind: 'policy', origin: true }))[0]?.shadows).toBeUndefined();
  });

  it('sorts many, splits a large service, and pauses on its way', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => workload(`w${(i * 7919) % 5000}`, {}));
    const large = model([service({ ports: [port(80)] })], many);
    const items: ConfigItem[] = [];
    let turns = 0;
    const count = () => {
      turns++;
      if (items.length < 5010) setImmediate(count);
    };
    setImmediate(count);
    for await (const item of configItems(large, nobody, {})) items.push(item);
    expect(turns).toBeGreaterThan(1);
    const uids = items.filter(({ kind }) => kind === 'workload').map(({ name }) => name);
    expect(uids).toEqual(many.map(({ uid }) => uid).sort());
    const parts = items.slice(5000);
    expect(parts.map(({ kind }) => kind)).toEqual(['service', ...Array.from({ length: 9 }, () => 'endpoints')]);
    const endpoints = parts.flatMap(({ kind, fields }) =>
      Object.keys(kind === 'service' ? (fields.endpoints as object) : fields),
    );
    expect(new Set(endpoints).size).toBe(5000);
  });
});
