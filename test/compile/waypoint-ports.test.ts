// SPDX-License-Identifier: Apache-2.0
// Where waypoints read a header: which addresses and ports follow from the model, and how a plan keeps them.
import { describe, expect, it } from 'vitest';
import { settingFlag } from '../../src/abi/structs.ts';
import { compileAll, compileTouched, emptyIndex } from '../../src/compile/compile.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { apply } from '../../src/mesh/apply.ts';
import { defaultWaypointSettings, type Gateway, type GatewayAddress } from '../../src/mesh/gateway.ts';
import type { Change, Model } from '../../src/mesh/model.ts';
import type { Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { model, port, service, view, workload } from '../mesh/make.ts';
import { carryOut } from '../support/carry-out.ts';
import { imageOf, planAll, planDelta } from '../support/plans.ts';
import { deltaBetween } from '../support/random-wanted.ts';
import { backend, frontend, want, waypointPort } from '../support/small-wanted.ts';

const byHost: GatewayAddress = {
  destination: { kind: 'hostname', namespace: 'infra', hostname: 'way.infra' },
  hboneMtlsPort: 15008,
};
const at = (address: string, more: Partial<GatewayAddress> = {}): GatewayAddress => ({
  ...{ destination: { kind: 'address', network: '', address }, hboneMtlsPort: 15008 },
  ...more,
});
const way = (fields: Partial<Service> = {}): Service =>
  service({ name: 'way', namespace: 'infra', hostname: 'way.infra', addresses: [], ...fields });
const proxy = (uid: string, addresses: readonly string[], fields: Partial<Workload> = {}): Workload =>
  workload(uid, { namespace: 'infra', addresses, services: new Map([['infra/way.infra', []]]), ...fields });
const gateway = (fields: Partial<Gateway> = {}): Change => ({
  kind: 'put-gateway',
  gateway: {
    ...{ namespace: 'infra', name: 'way', className: 'kmesh-waypoint', waypointFor: 'service' as const },
    addresses: [byHost.destination],
    ...fields,
  },
});

/** "10.0.9.1:15088", sorted; what stands for addresses that nobody tells of left out. */
function ports(made: Model, settings = defaultWaypointSettings): readonly string[] {
  const all = compileAll(made, { ...view, waypoints: settings }).ports;
  const texts = [...all.values()].filter(({ address }) => address !== 'fe80::' && address !== '::1');
  return texts.map(({ key }) => key).sort();
}
const behind = service({ waypoint: byHost });

describe('ports where waypoints read a header', () => {
  it('are at all addresses of all workloads, ready or not, and wherever they are', () => {
    const made = model(
      [behind, way()],
      [
        proxy('p', ['10.0.9.1', 'fd00::9', '10.0.9.2']),
        proxy('sick', ['10.0.9.3'], { status: 'unhealthy' }),
        proxy('idle', ['10.0.9.4'], { capacity: 0, node: 'n2' }),
        proxy('host', ['192.0.2.1'], { hostNetwork: true }),
        proxy('far', ['10.0.9.5'], { network: 'other' }),
        workload('w'),
      ],
    );
    const itself = compileAll(made, view).ports.get('[::1]:15088');
    expect(itself).toMatchObject({ address: '::1', node: true });
    const found = ['10.0.9.1', '10.0.9.2'].map((a) => `${a}:15088`);
    found.push('10.0.9.3:15088', '10.0.9.4:15088', '192.0.2.1:15088', '[fd00::9]:15088');
    expect(ports(made)).toEqual(found);
    expect(compileAll(made, view).ports.get('[fe80::]:15088')).toMatchObject({ address: 'fe80::', node: false });
  });

  it('are those at each of its addresses', () => {
    const also = [{ kind: 'address', network: '', address: '192.0.2.2' }] as const;
    expect(ports(model([service({ waypoint: at('192.0.2.1', { also }) })], []))).toEqual([
      '192.0.2.1:15088',
      '192.0.2.2:15088',
    ]);
  });

  it('are those of the binding, as the service maps it', () => {
    const p = [proxy('p', ['10.0.9.1'])];
    const bound = (header: 'proxy' | 'kmesh' | 'none', number: number, more: Partial<Service> = {}) =>
      ports(model([service({ waypoint: { ...byHost, binding: { header, port: number } } }), way(more)], p));
    expect(bound('none', 15088)).toEqual([]);
    expect(bound('kmesh', 15019)).toEqual(['10.0.9.1:15019']);
    const mapped = [port(80, { targetPort: 8080 }), port(15088, { targetPort: 25088 }), port(9, { targetPort: 25088 })];
    const addresses = [{ network: '', address: '10.96.9.9' }];
    const found = ['10.0.9.1:25088', '10.96.9.9:15088', '10.96.9.9:9'];
    expect(bound('proxy', 15088, { ports: mapped, addresses })).toEqual(found);
    expect(
      ports(model([behind, way()], p), { ...defaultWaypointSettings, binding: { header: 'kmesh', port: 7 } }),
    ).toEqual(['10.0.9.1:7']);
  });

  it("are a network's own addresses where it is the node's", () => {
    const itself = (made: Model) => compileAll(made, view).ports.get('[::1]:15088')?.node;
    const at1 = (fields: Partial<Workload>) => model([behind, way()], [proxy('p', ['192.0.2.1'], fields)]);
    expect(itself(at1({}))).toBe(false);
    expect(itself(at1({ hostNetwork: true, node: 'n1' }))).toBe(true);
    expect(itself(at1({ hostNetwork: true, node: 'n2' }))).toBe(false);
    expect(itself(model([service({ waypoint: at('192.0.2.1') })]))).toBe(true);
    const tunnel = { hostNetwork: true, applicationTunnel: { protocol: 'proxy', port: 15088 } } as const;
    const both = model([behind, way()], [proxy('p', ['192.0.2.1']), workload('t', tunnel)]);
    expect(itself(both)).toBe(true);
  });

  it('of a waypoint that is an address: of whoever has it', () => {
    const waypoint = at('10.0.9.1');
    expect(ports(model([service({ waypoint })]))).toEqual(['10.0.9.1:15088']);
    const p = workload('p', { addresses: ['10.0.9.1', 'fd00::9'], services: new Map() });
    expect(ports(model([service({ waypoint })], [p]))).toEqual(['10.0.9.1:15088', '[fd00::9]:15088']);
    const host = { ...p, hostNetwork: true };
    expect(ports(model([service({ waypoint })], [host]))).toEqual(['10.0.9.1:15088']);
  });

  it('stay when nothing goes there at this moment', () => {
    const p = [proxy('p', ['10.0.9.1'])];
    const found = ['10.0.9.1:15088'];
    const weightedWaypoints = [
      { destination: byHost, weight: 0 },
      { destination: at('10.0.9.7'), weight: 1 },
    ];
    expect(ports(model([service({ weightedWaypoints }), way()], p))).toEqual([...found, '10.0.9.7:15088']);
    expect(ports(model([service({ waypoint: byHost, addresses: [] }), way()], p))).toEqual(found);
    expect(ports(model([service({ waypoint: byHost, ports: [port(3306)] }), way()], p))).toEqual(found);
    expect(ports(model([way({ waypoint: byHost })], p))).toEqual(found);
    expect(ports(model([way()], [...p, workload('w', { waypoint: byHost, hostNetwork: true })]))).toEqual(found);
    const unused = model([way()], p);
    expect(ports(unused)).toEqual([]);
    const told = (fields?: Partial<Gateway>) => ports(apply(unused, [gateway(fields)]).model);
    expect(told()).toEqual(found);
    expect(told({ className: 'istio' })).toEqual([]);
    expect(told({ className: 'istio', binding: { header: 'proxy', port: 1 } })).toEqual(['10.0.9.1:1']);
    const addresses = [byHost.destination, at('192.0.2.1').destination];
    expect(told({ addresses })).toEqual([...found, '192.0.2.1:15088']);
  });

  it('of a workload that says so itself', () => {
    const applicationTunnel = { protocol: 'proxy', port: 15088 } as const;
    const p = workload('p', { addresses: ['10.0.9.1'], applicationTunnel });
    expect(ports(model([], [p]))).toEqual(['10.0.9.1:15088']);
    expect(ports(model([], [{ ...p, network: 'other' }]))).toEqual([]);
    expect(ports(model([], [{ ...p, applicationTunnel: { protocol: 'none', port: 15088 } }]))).toEqual([]);
  });

  it('follow what they depend on, and go with the last that claims them', () => {
    let now = model([behind, way()], [proxy('p', ['10.0.9.1'])]);
    let { index } = compileTouched(emptyIndex, now, view, 'everything');
    const step = (...changes: Change[]) => {
      const next = apply(now, changes);
      now = next.model;
      const done = compileTouched(index, now, view, next.touched);
      index = done.index;
      expect(new Map(index.ports.ports)).toEqual(new Map(compileAll(now, view).ports));
      return [...done.delta.ports.keys()].sort();
    };
    expect(step({ kind: 'put-workload', workload: proxy('p', ['10.0.9.2']) })).toEqual([
      '10.0.9.1:15088',
      '10.0.9.2:15088',
    ]);
    expect(step(gateway())).toEqual([]);
    expect(step({ kind: 'remove-service', key: 'shop/cart.shop' })).toEqual([]);
    const kmesh = { header: 'kmesh', port: 15019 } as const;
    const both = (address: string) => [`${address}:15019`, `${address}:15088`];
    const changed = ['10.0.9.2', '[::1]', '[fe80::]'].flatMap(both);
    expect(step(gateway({ binding: kmesh }))).toEqual(changed);
    expect(step({ kind: 'remove-gateway', key: 'infra/way' })).toEqual(changed.filter((key) => key.endsWith(':15019')));
    expect(index.ports.claims.size + index.ports.of.size).toBe(0);
  });
});

describe('a plan', () => {
  const through = { backend: 'waypoint:ns/way/4', unready: 'refuse', serverFirst: false } as const;
  const whole = want(
    waypointPort(1),
    backend('way', [1], { name: through.backend, service: 'waypoint:ns/way' }),
    backend('s', [2], { via: through }),
    frontend('tcp/10.0.0.1:80', 's'),
  );
  const order = (ops: Iterable<{ kind: string; map?: string; about?: string }>) =>
    [...ops].map(({ kind, map, about }) => `${kind} ${map}${map === 'backend' ? ` ${about}` : ''}`);

  it('keeps ports before the waypoint is used, and as long as it is', () => {
    const plane = openMemory();
    const image = imageOf(plane);
    const plan = planAll(image, whole);
    const steps = order(plan.ops);
    const places = ['put setting', 'put waypoint_port', `put backend backend ${through.backend}`].map((s) =>
      steps.indexOf(s),
    );
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    carryOut(plane, image, plan);
    expect(plane.map('setting').get(0)?.ports).toBe(1n << BigInt(15088 & 63));
    const nothing = want();
    const back = planDelta(image, deltaBetween(whole, nothing));
    const out = order(back.ops);
    expect(out.indexOf('delete waypoint_port')).toBeGreaterThan(
      out.indexOf(`delete backend backend ${through.backend}`),
    );
    expect(out.indexOf('put setting')).toBeGreaterThan(out.indexOf('delete waypoint_port'));
    carryOut(plane, image, back);
    expect(plane.map('setting').get(0)).toEqual({ abi_version: 1, flags: 0, ports: 0n });
    expect([...plane.map('waypoint_port').entries()]).toEqual([]);
  });

  it('refuses ports that have no room by name, and closes what the filter has for them until they have', () => {
    const plane = openMemory({ waypoint_port: 1 });
    const image = imageOf(plane);
    const two = want(waypointPort(1), waypointPort(2, 15019));
    const plan = planAll(image, two);
    expect(plan.refused).toMatchObject([
      { port: '172.16.0.2:15019', reason: 'map "waypoint_port" has no room: 1 entry needed, 0 free' },
    ]);
    carryOut(plane, image, plan);
    const full = { abi_version: 1, flags: settingFlag.portsFull, ports: (1n << 48n) | (1n << 43n) };
    expect(plane.map('setting').get(0)).toEqual(full);
    expect([...planAll(image, two).ops]).toEqual([]);
    const one = want(waypointPort(2, 15019));
    carryOut(plane, image, planAll(image, one));
    carryOut(plane, image, planAll(image, one));
    expect(plane.map('setting').get(0)).toEqual({ abi_version: 1, flags: 0, ports: 1n << 43n });
    expect([...planAll(imageOf(plane), one).ops]).toEqual([]);
  });

  it('mends entries that are another', () => {
    const plane = openMemory();
    const image = imageOf(plane);
    carryOut(plane, image, planAll(image, whole));
    const [[key, value] = []] = [...plane.map('waypoint_port').entries()];
    if (!key || value === undefined) throw new Error('no entry');
    plane.map('waypoint_port').put([[key, value ^ 1]]);
    const wrong = imageOf(plane);
    carryOut(plane, wrong, planAll(wrong, whole));
    expect(plane.map('waypoint_port').get(key)).toBe(value);
    plane.map('waypoint_port').put([[{ ...key, protocol: 17 }, value]]);
    const read = imageOf(plane);
    carryOut(plane, read, planAll(read, whole));
    expect([...plane.map('waypoint_port').entries()].length).toBe(1);
  });
});
