// SPDX-License-Identifier: Apache-2.0
// Services and workloads behind waypoints: which endpoints, what each reads first, who is exempt, what happens without one.
import { describe, expect, it } from 'vitest';
import { compileAll } from '../../src/compile/compile.ts';
import { defaultWaypointSettings, type GatewayAddress, type WaypointSettings } from '../../src/mesh/gateway.ts';
import type { Model } from '../../src/mesh/model.ts';
import type { Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { model, port, service, view, workload } from '../mesh/make.ts';

const byHost: GatewayAddress = {
  destination: { kind: 'hostname', namespace: 'infra', hostname: 'way.infra' },
  hboneMtlsPort: 15008,
};
const at = (address: string, more: Partial<GatewayAddress> = {}): GatewayAddress => ({
  ...{ destination: { kind: 'address', network: '', address }, hboneMtlsPort: 15008 },
  ...more,
});
const way = (fields: Partial<Service> = {}): Service =>
  service({
    name: 'way',
    namespace: 'infra',
    hostname: 'way.infra',
    addresses: [{ network: '', address: '10.96.9.9' }],
    ...fields,
  });
const inWay = new Map([['infra/way.infra', []]]);
const proxy = (uid: string, address: string, fields: Partial<Workload> = {}): Workload =>
  workload(uid, { namespace: 'infra', addresses: [address], services: inWay, ...fields });
const name = 'waypoint:infra/way.infra/4';

function compiled(made: Model, settings: Partial<WaypointSettings> = {}) {
  const all = compileAll(made, { ...view, waypoints: { ...defaultWaypointSettings, ...settings } });
  return {
    ...all,
    cart: (number = 80) => all.backends.get(`shop/cart.shop:${number}/4`),
    endpoints: (backend: string) =>
      all.backends
        .get(backend)
        ?.endpoints.map((e) => `${e.workload} ${e.address}:${e.port} ${e.weight} ${e.header ?? 'none'}`),
  };
}

describe('a service behind a waypoint', () => {
  it('goes through a backend that all such services share, and keeps its own endpoints', () => {
    const other = service({
      hostname: 'web.shop',
      addresses: [{ network: '', address: '10.96.0.2' }],
      waypoint: byHost,
    });
    const all = compiled(
      model(
        [service({ waypoint: byHost }), other, way()],
        [workload('w'), proxy('p1', '10.0.9.1'), proxy('p2', '10.0.9.2')],
      ),
    );
    const via = { backend: name, unready: 'refuse', serverFirst: false };
    expect([all.cart()?.via, all.backends.get('shop/web.shop:80/4')?.via]).toEqual([via, via]);
    expect(all.endpoints('shop/cart.shop:80/4')).toEqual(['w 10.0.0.1:8080 1 none']);
    expect(all.endpoints(name)).toEqual(['p1 10.0.9.1:15088 1 proxy', 'p2 10.0.9.2:15088 1 proxy']);
    expect(all.backends.get(name)?.policy).toBe('least-request');
    expect([...all.backends.keys()].filter((key) => key.startsWith('waypoint:'))).toEqual([name]);
    expect(all.backends.get('infra/way.infra:80/4')?.via).toBeUndefined();
  });

  it('has the backend in each family that it has addresses of', () => {
    const addresses = ['10.96.0.1', '2001:db8::1'].map((address) => ({ network: '', address }));
    const all = compiled(model([service({ waypoint: byHost, addresses }), way()], [proxy('p', '10.0.9.1')]));
    expect(all.endpoints('waypoint:infra/way.infra/6')).toEqual(['p 10.0.9.1:15088 1 proxy']);
    expect(all.backends.get('shop/cart.shop:80/6')?.via?.backend).toBe('waypoint:infra/way.infra/6');
  });

  it.each([
    ['random', undefined, 'least-request'],
    ['random', true, 'random'],
    ['round-robin', undefined, 'round-robin'],
    ['source-hash', undefined, 'source-hash'],
  ] as const)('whose service balances by %s (asked for: %s): %s', (policy, stated, expected) => {
    const balancer = { policy, affinitySeconds: 7, ...(stated && { stated }) };
    const all = compiled(model([service({ waypoint: byHost }), way({ balancer })], [proxy('p', '10.0.9.1')]));
    expect(all.backends.get(name)).toMatchObject({ policy: expected, affinitySeconds: 7 });
  });

  it('reads what the Gateway says, else its own tunnel, else the setting', () => {
    const tunnel = { applicationTunnel: { protocol: 'proxy', port: 15099 } } as const;
    const of = (waypoint: GatewayAddress, more: Partial<Workload>, settings: Partial<WaypointSettings> = {}) =>
      [...compiled(model([service({ waypoint }), way()], [proxy('p', '10.0.9.1', more)]), settings).backends.values()]
        .find((b) => b.name.startsWith('waypoint:'))
        ?.endpoints.map((e) => `${e.port} ${e.header ?? 'none'}`);
    expect(of({ ...byHost, binding: { header: 'kmesh', port: 15019 } }, tunnel)).toEqual(['15019 kmesh']);
    expect(of(byHost, tunnel)).toEqual(['15099 proxy']);
    expect(of(byHost, { applicationTunnel: { protocol: 'none', port: 0 } })).toEqual(['0 none']);
    expect(of(byHost, {}, { binding: { header: 'none', port: 8080 } })).toEqual(['8080 none']);
  });

  it('is dialled at the port that its service leads to', () => {
    const ports = [port(15088, { targetPort: 9000 })];
    const all = compiled(model([service({ waypoint: byHost }), way({ ports })], [proxy('p', '10.0.9.1')]));
    expect(all.endpoints(name)).toEqual(['p 10.0.9.1:9000 1 proxy']);
  });

  it('by address: of a service, of a workload, or of neither', () => {
    const of = (address: string) =>
      compiled(model([service({ waypoint: at(address) }), way()], [proxy('p', '10.0.9.1')])).endpoints(
        `waypoint:${address}/4`,
      );
    expect(of('10.96.9.9')).toEqual(['p 10.0.9.1:15088 1 proxy']);
    expect(of('10.0.9.1')).toEqual(['p 10.0.9.1:15088 1 proxy']);
    expect(of('192.0.2.1')).toEqual(['address:192.0.2.1 192.0.2.1:15088 1 proxy']);
  });

  it("at several addresses: each is an endpoint, of those of the client's family where there are any", () => {
    const at4 = (address: string) => ({ kind: 'address', network: '', address }) as const;
    const addresses = ['10.96.0.1', '2001:db8::1'].map((address) => ({ network: '', address }));
    const of = (first: string, ...others: string[]) => {
      const waypoint = { ...at(first), also: others.map(at4) };
      const all = compiled(model([service({ waypoint, addresses }), way()], [proxy('p', '10.0.9.1')]));
      return [4, 6].map((family) =>
        all
          .endpoints(all.backends.get(`shop/cart.shop:80/${family}`)?.via?.backend as string)
          ?.map((text) => text.split(' ')[1]),
      );
    };
    const both = ['192.0.2.1:15088', '192.0.2.2:15088'];
    expect(of('192.0.2.1', '192.0.2.2')).toEqual([both, both]);
    expect(of('192.0.2.1', '2001:db8::9')).toEqual([['192.0.2.1:15088'], ['2001:db8::9:15088']]);
    expect(of('2001:db8::9', '192.0.2.1')).toEqual([['192.0.2.1:15088'], ['2001:db8::9:15088']]);
    // Two addresses that lead to one workload: that of a service, and its own.
    expect(of('10.96.9.9', '10.0.9.1')).toEqual([['10.0.9.1:15088'], ['10.0.9.1:15088']]);
  });

  it('of several each gets its share, however many endpoints it has; one that cannot be used gets none', () => {
    const next = { ...byHost, destination: { kind: 'hostname', namespace: 'infra', hostname: 'next.infra' } } as const;
    const inNext = new Map([['infra/next.infra', []]]);
    const weightedWaypoints = [
      { destination: byHost, weight: 80 },
      { destination: next, weight: 20 },
    ];
    const of = (...proxies: Workload[]) => {
      const all = compiled(
        model([service({ weightedWaypoints }), way(), way({ hostname: 'next.infra', addresses: [] })], proxies),
      );
      return all.endpoints(all.cart()?.via?.backend as string);
    };
    const [a, b, c] = [
      proxy('a', '10.0.9.1'),
      proxy('b', '10.0.9.2'),
      proxy('c', '10.0.9.3', { services: inNext }),
    ] as const;
    expect(of(a, b, c)).toEqual(['a 10.0.9.1:15088 2 proxy', 'b 10.0.9.2:15088 2 proxy', 'c 10.0.9.3:15088 1 proxy']);
    expect(of(a, b)).toEqual(['a 10.0.9.1:15088 1 proxy', 'b 10.0.9.2:15088 1 proxy']);
  });

  it('that is not there, or cannot be used, has no endpoint: refused, or past it where that is said', () => {
    const unusable: GatewayAddress = { destination: { kind: 'unusable', reason: 'no address' }, hboneMtlsPort: 15008 };
    const gone = compiled(model([service({ waypoint: byHost })]));
    expect([gone.endpoints(name), gone.cart()?.via?.unready]).toEqual([[], 'refuse']);
    const none = compiled(model([service({ waypoint: unusable })]), { unready: 'direct' });
    expect([none.endpoints('waypoint:unusable/4'), none.cart()?.via?.unready]).toEqual([[], 'direct']);
    const own = compiled(model([service({ waypoint: unusable, waypointUnready: 'refuse' })]), { unready: 'direct' });
    expect(own.cart()?.via?.unready).toBe('refuse');
    const sick = compiled(
      model([service({ waypoint: byHost }), way()], [proxy('p', '10.0.9.1', { status: 'unhealthy' })]),
    );
    expect(sick.endpoints(name)).toEqual([]);
    const far = compiled(
      model([
        service({
          waypoint: { ...at('10.0.9.1'), destination: { kind: 'address', network: 'far', address: '10.0.9.1' } },
        }),
      ]),
    );
    expect(far.endpoints('waypoint:far/10.0.9.1/4')).toEqual([]);
  });

  it('that is the service itself is none', () => {
    expect(compiled(model([way({ waypoint: byHost })])).backends.get('infra/way.infra:80/4')?.via).toBeUndefined();
  });

  it('on ports whose server speaks first: refused, or past it', () => {
    const ports = [
      port(3306),
      port(81, { appProtocol: 'mysql' }),
      port(82, { name: 'smtp-in' }),
      port(83, { appProtocol: 'http' }),
      port(84),
      port(85, { serverFirst: true, appProtocol: 'http' }),
      port(25, { serverFirst: false }),
    ];
    const made = model([service({ waypoint: byHost, ports }), way()], [workload('w')]);
    const first = (settings: Partial<WaypointSettings>) =>
      ports.map(({ port: number }) => compiled(made, settings).cart(number)?.via?.serverFirst);
    expect(first({})).toEqual([true, true, true, false, false, true, false]);
    expect(first({ serverFirstPorts: [83, 84] })).toEqual([true, true, true, false, true, true, false]);
    const past = [undefined, undefined, undefined, false, false, undefined, false];
    expect(first({ serverFirst: 'direct' })).toEqual(past);
  });

  it('does not hold for UDP', () => {
    const ports = [port(80, { targetPort: 8080 }), port(80, { targetPort: 9090, protocol: 'udp' })];
    const all = compiled(model([service({ waypoint: byHost, ports })], [workload('w')]));
    expect(all.backends.get('shop/cart.shop:80/4/udp')?.via).toBeUndefined();
  });
});

describe('workloads behind a waypoint', () => {
  it('have a frontend for all ports of each address of their own', () => {
    const addresses = ['10.0.0.1', '2001:db8::1'];
    const all = compiled(model([way()], [workload('w', { addresses, waypoint: byHost }), proxy('p', '10.0.9.1')]));
    const frontends = [...all.frontends.values()].filter((f) => f.port === 0);
    expect(frontends.map((f) => [f.key, f.backend]).sort()).toEqual([
      ['tcp/10.0.0.1:0', 'workloads:waypoint:infra/way.infra/4'],
      ['tcp/[2001:db8::1]:0', 'workloads:waypoint:infra/way.infra/6'],
    ]);
    expect(all.backends.get('workloads:waypoint:infra/way.infra/4')).toMatchObject({
      passthrough: true,
      endpoints: [],
      via: { backend: name, unready: 'refuse' },
    });
    expect(all.endpoints(name)).toEqual(['p 10.0.9.1:15088 1 proxy']);
  });

  it('not those on the addresses of their node; of several with one address the first by uid counts', () => {
    const of = (...workloads: Workload[]) =>
      [...compiled(model([way()], workloads)).frontends.values()].filter((f) => f.port === 0).map((f) => f.backend);
    expect(of(workload('w', { waypoint: byHost, hostNetwork: true }))).toEqual([]);
    expect(
      of(workload('b', { waypoint: at('192.0.2.1') }), workload('a', { waypoint: byHost, waypointUnready: 'direct' })),
    ).toEqual(['workloads:waypoint:infra/way.infra:direct/4']);
  });
});
