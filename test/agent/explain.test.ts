// SPDX-License-Identifier: Apache-2.0
// What the agent says of connections.
import { describe, expect, it } from 'vitest';
import { explainByModel } from '../../src/agent/explain.ts';
import { compileAll } from '../../src/compile/compile.ts';
import { apply } from '../../src/mesh/apply.ts';
import { defaultWaypointSettings, type GatewayAddress } from '../../src/mesh/gateway.ts';
import { parseLocality } from '../../src/mesh/locality.ts';
import type { Model, NodeView } from '../../src/mesh/model.ts';
import { model, port, service, view, workload } from '../mesh/make.ts';

const far = parseLocality('r2/z1/s1');
const shopModel = model(
  [
    service({
      ports: [port(80)],
      loadBalancing: { mode: 'failover', scopes: ['region'], healthPolicy: 'only-healthy' },
    }),
    service({
      name: 'own',
      hostname: 'own.dev',
      namespace: 'dev',
      visibility: 'namespace',
      addresses: [{ network: '', address: '10.96.0.9' }],
    }),
  ],
  [
    workload('near', { addresses: ['10.0.0.1'], locality: view.locality, capacity: 3 }),
    workload('near2', { addresses: ['10.0.0.2'], locality: view.locality }),
    workload('far', { addresses: ['10.0.0.3'], locality: far }),
    workload('sick', { addresses: ['10.0.0.4'], locality: view.locality, status: 'unhealthy' }),
    workload('client', { addresses: ['10.0.0.5'], namespace: 'dev', node: 'n1', services: new Map() }),
  ],
);
const state = (m: Model, from: NodeView = view) => ({ model: m, view: from, wanted: compileAll(m, from) });

describe('explanation by the model', () => {
  it('names service, candidates with shares, and why the others are out', () => {
    const said = explainByModel(state(shopModel), { address: '10.96.0.1', port: 80, protocol: 'tcp' });
    expect(said).toMatchObject({ service: 'shop/cart.shop', backend: 'shop/cart.shop:80/4', namespace: '' });
    const by = Object.fromEntries(said.candidates.map((c) => [c.workload, c]));
    expect(by.near).toMatchObject({ address: '10.0.0.1', port: 8080, weight: 3, probability: 0.75, out: '' });
    expect(by.near2).toMatchObject({ probability: 0.25, out: '' });
    expect(by.sick?.out).toBe('unhealthy');
    expect(by.far?.out).not.toBe('');
    expect(by.far?.probability).toBe(0);
    expect(said.notes.join('\n')).toContain('locality "r1/z1/s1"');
  });

  it.each([
    ['10.96.0.1', 81, 'answers only at tcp/80'],
    ['10.0.0.1', 80, 'that of workload "near" itself'],
    ['192.0.2.1', 80, 'no service or workload has the address'],
    ['10.96.0.9', 80, 'cannot see the services here (dev/own.dev)'],
  ])('says why %s:%d is left alone', (address, portNumber, note) => {
    const said = explainByModel(state(shopModel), { address, port: portNumber, protocol: 'tcp' });
    expect([said.service, said.candidates]).toEqual(['', []]);
    expect(said.notes.join('\n')).toContain(note);
  });

  it.each([
    ['10.96.0.1', '', 'has this address, in network "n2", but this node is on no network'],
    ['10.96.0.1', 'n1', 'has this address, in network "n2", but this node is on network "n1"'],
    ['10.96.0.1', 'n2', 'answers only at tcp/81'],
    ['10.0.0.1', '', 'that of workload "other" in network "n2", but this node is on no network'],
    ['10.0.0.1', 'n2', 'that of workload "other" itself'],
  ])('says that %s is of another network than "%s"', (address, network, note) => {
    const m = model(
      [service({ ports: [port(81)], addresses: [{ network: 'n2', address: '10.96.0.1' }] })],
      [workload('other', { addresses: ['10.0.0.1'], network: 'n2', services: new Map() })],
    );
    const at = { ...view, network };
    const query = { address, port: 80, protocol: 'tcp' } as const;
    expect(explainByModel({ model: m, view: at, wanted: compileAll(m, at) }, query).notes[0]).toContain(note);
  });

  it("takes the client's namespace from its workload", () => {
    const query = { workload: 'client', address: '10.96.0.9', port: 80, protocol: 'tcp' } as const;
    expect(explainByModel(state(shopModel), query)).toMatchObject({ namespace: 'dev', service: 'dev/own.dev' });
    expect(() => explainByModel(state(shopModel), { ...query, workload: 'nobody' })).toThrow('knows no workload');
    expect(() => explainByModel(state(shopModel), { ...query, address: 'x' })).toThrow('is no address');
  });
});

describe('waypoints', () => {
  const byHost: GatewayAddress = {
    ...{ destination: { kind: 'hostname', namespace: 'infra', hostname: 'way.infra' }, hboneMtlsPort: 15008 },
    gateway: 'infra/way',
  };
  const way = service({ name: 'way', namespace: 'infra', hostname: 'way.infra', addresses: [] });
  const inWay = { services: new Map([['infra/way.infra', []]]) };
  const proxy = workload('p', { addresses: ['10.0.9.1'], node: 'n1', ...inWay });
  const ask = (m: Model, more: Partial<Parameters<typeof explainByModel>[1]> = {}) => {
    const {
      service: name,
      candidates,
      notes,
    } = explainByModel(state(m), {
      ...{ address: '10.96.0.1', port: 80, protocol: 'tcp' },
      ...more,
    });
    return [name, candidates.map((c) => `${c.workload} ${c.address}:${c.port}`).join(), ...notes.slice(0, -1)];
  };
  const through = 'waypoint: Gateway infra/way, the service infra/way.infra';

  it('say whose port is dialled past them', () => {
    const m = model([service({ waypoint: byHost }), way], [workload('w'), proxy]);
    const notes = (made: Model, address: string, number: number) =>
      explainByModel(state(made), { address, port: number, protocol: 'tcp' }).notes;
    const whose = 'is where Gateway infra/way reads a header';
    expect(notes(m, '10.0.9.1', 15088).at(-1)).toBe(`10.0.9.1:15088 ${whose}`);
    expect(notes(m, '10.0.9.1', 15088).join()).not.toContain('left alone');
    expect(notes(m, '10.0.9.1', 15089).join()).not.toContain('header');
    expect(notes(m, '10.96.0.1', 80).join()).not.toContain('header');
    const applicationTunnel = { protocol: 'proxy', port: 8080 } as const;
    const led = model([service()], [workload('w', { applicationTunnel })]);
    expect(notes(led, '10.96.0.1', 80)).toContain('10.0.0.1:8080 is where workload w reads a header');
  });

  it('their endpoints are the candidates, but for themselves and UDP', () => {
    const ports = [port(80, { protocol: 'any' })];
    const m = model([service({ waypoint: byHost, ports }), way], [workload('w'), proxy]);
    expect(ask(m)).toEqual(['shop/cart.shop', 'p 10.0.9.1:15088', through]);
    expect(ask(m, { workload: 'p' })).toEqual(['shop/cart.shop', 'w 10.0.0.1:8080', through]);
    expect(ask(m, { protocol: 'udp' })).toEqual([
      'shop/cart.shop',
      'w 10.0.0.1:8080',
      through,
      'UDP goes past waypoints',
    ]);
  });

  it('the Gateway that is there, where only its address was told', () => {
    const { destination, hboneMtlsPort } = byHost;
    const told = model([service({ waypoint: { destination, hboneMtlsPort } }), way], [workload('w'), proxy]);
    const named = (...names: string[]) =>
      apply(
        told,
        names.map((name) => ({
          kind: 'put-gateway',
          gateway: {
            ...{ namespace: 'infra', name, className: 'c' },
            waypointFor: 'service',
            addresses: [destination],
          },
        })),
      ).model;
    const anonymous = 'waypoint: a waypoint, the service infra/way.infra';
    expect(ask(told)).toContain(anonymous);
    expect(ask(named('way'))).toContain(through);
    expect(ask(named('way', 'other'))).toContain(anonymous);
  });

  it('that no proxy is connected, where this agent tells proxies', () => {
    const m = model([service({ waypoint: byHost }), way], [workload('w'), proxy]);
    const notes = (count: number) =>
      explainByModel(
        { ...state(m), proxies: () => new Map([['infra/way', count]]) },
        { address: '10.96.0.1', port: 80, protocol: 'tcp' },
      ).notes.join();
    expect(notes(0)).toContain('no Envoy of Gateway infra/way is connected to this agent');
    expect(notes(1)).not.toContain('no Envoy');
  });

  it('at all addresses of one', () => {
    const [destination, ...also] = ['192.0.2.1', '192.0.2.2'].map(
      (address) => ({ kind: 'address', network: '', address }) as const,
    );
    const waypoint = { destination, also, hboneMtlsPort: 0, gateway: 'a/b' } as GatewayAddress;
    expect(ask(model([service({ waypoint })], [workload('w')])).at(-1)).toBe(
      'waypoint: Gateway a/b at 192.0.2.1, 192.0.2.2',
    );
  });

  it('why they cannot be used', () => {
    const unusable: GatewayAddress = {
      destination: { kind: 'unusable', reason: 'Gateway a/b is not there' },
      hboneMtlsPort: 0,
    };
    expect(ask(model([service({ waypoint: unusable })], [workload('w')]))).toEqual([
      ...['shop/cart.shop', '', 'waypoint: Gateway a/b is not there', 'no endpoint of the waypoint is usable: refused'],
    ]);
    expect(ask(model([service({ waypoint: byHost, waypointUnready: 'direct' }), way], [workload('w')]))).toEqual([
      ...['shop/cart.shop', 'w 10.0.0.1:8080', through, 'no endpoint of the waypoint is usable: past it'],
    ]);
  });

  it.each([
    ['its number', 3306, {}, 'by its number'],
    ['a name', 80, { name: 'smtp-in' }, 'by its name or appProtocol'],
    ['appProtocol', 80, { appProtocol: 'mysql' }, 'by its name or appProtocol'],
    ['the annotation', 80, { serverFirst: true }, 'as its annotation says'],
  ])('what says that the server speaks first: %s', (_by, at, more, why) => {
    const m = model([service({ waypoint: byHost, ports: [{ ...port(at), ...more }] }), way], [workload('w'), proxy]);
    expect(ask(m, { port: at })).toEqual([
      ...['shop/cart.shop', '', through],
      `the server speaks first on port ${at} (${why}): the waypoint would wait for the client's first bytes, so refused`,
    ]);
  });

  it('of workloads', () => {
    const m = model([way], [workload('w', { waypoint: byHost }), proxy]);
    expect(explainByModel(state(m), { address: '10.0.0.1', port: 9999, protocol: 'tcp' })).toMatchObject({
      ...{ service: '', candidates: [{ workload: 'p', port: 15088 }], notes: [through] },
    });
  });

  it('of workloads: where the server speaks first, and who says so', () => {
    const ports = [port(3306, { targetPort: 13306 }), port(8025, { targetPort: 25, appProtocol: 'http' })];
    const of = (number: number, serverFirst: 'refuse' | 'direct' = 'refuse') => {
      const made = model([way, service({ ports })], [workload('w', { waypoint: byHost }), proxy]);
      const settings = { ...defaultWaypointSettings, serverFirst };
      const asked = { address: '10.0.0.1', port: number, protocol: 'tcp' } as const;
      const { candidates, notes } = explainByModel(state(made, { ...view, waypoints: settings }), asked);
      return [candidates.length, ...notes.slice(1)];
    };
    const waits = "the waypoint would wait for the client's first bytes";
    const known = 'by port 3306 of service "shop/cart.shop", which leads there';
    expect(of(3306)).toEqual([0, `the server speaks first on port 3306 (by its number): ${waits}, so refused`]);
    expect(of(13306)).toEqual([0, `the server speaks first on port 13306 (${known}): ${waits}, so refused`]);
    expect(of(25)).toEqual([
      1,
      'on port 25 the client speaks first (by port 8025 of service "shop/cart.shop", which leads there)',
    ]);
    expect(of(80)).toEqual([1]);
    expect(of(13306, 'direct')[1]).toContain('so past it by --server-first direct');
  });
});
