// SPDX-License-Identifier: Apache-2.0
// What the read-only tasks make of maps that a plan has filled, and the way of single connections through them.
import { describe, expect, it } from 'vitest';
import { addressHash, cgroupHash } from '../../src/abi/hash.ts';
import { portFlag, settingFlag } from '../../src/abi/structs.ts';
import { execute } from '../../src/agent/execute.ts';
import { compileAll } from '../../src/compile/compile.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import type { GatewayAddress } from '../../src/mesh/gateway.ts';
import type { Model } from '../../src/mesh/model.ts';
import type { Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { shares } from '../../src/tasks/held/backend.ts';
import type { HeldClient } from '../../src/tasks/held/client.ts';
import { explainByKernel } from '../../src/tasks/held/explain.ts';
import { mapUse } from '../../src/tasks/held/fill.ts';
import { readName, readNames } from '../../src/tasks/held/names.ts';
import { serviceRows, workloadRows } from '../../src/tasks/held/rows.ts';
import { unusableBefore } from '../../src/tasks/held/unusable.ts';
import { showHosts } from '../../src/tasks/show-held.ts';
import { model, port, service, shop, view, workload } from '../mesh/make.ts';
import { imageOf, planAll } from '../support/plans.ts';

const named = (name: string, address: string, fields: Partial<Service> = {}): Service =>
  service({ name, hostname: `${name}.shop`, addresses: [{ network: '', address }], ...fields });
const longName = `Kubernetes//Pod/shop/${'long-'.repeat(30)}1`;
const member = (uid: string, key: string, address: string, capacity = 1, fields = {}) =>
  workload(uid, { addresses: [address], capacity, services: new Map([[key, []]]), ...fields });

async function filled() {
  const plane = openMemory();
  const wide = named('wide', '10.97.0.0', { addresses: [{ network: '', address: '10.97.0.0', length: 16 }] });
  const own = service({ name: 'own', hostname: 'own.dev', namespace: 'dev', visibility: 'namespace' });
  const services = [
    service({ addresses: ['10.96.0.1', 'fd96::1'].map((address) => ({ network: '', address })) }),
    { ...own, addresses: [{ network: '', address: '10.96.0.1' }] },
    named('hash', '10.96.0.2', { balancer: { policy: 'source-hash', affinitySeconds: 0 } }),
    named('turns', '10.96.0.3', { balancer: { policy: 'round-robin', affinitySeconds: 0 }, ports: [port(53)] }),
    named('least', '10.96.0.4', { balancer: { policy: 'least-request', affinitySeconds: 0 } }),
    named('sticky', '10.96.0.5', { balancer: { policy: 'random', affinitySeconds: 60 } }),
    named('none', '10.96.0.6'),
    named('direct', '10.96.0.7', { onEmpty: 'direct' }),
    named('six', '10.96.0.8'),
    wide,
  ];
  const workloads = [
    member(longName, shop, '10.0.0.1', 3),
    member('w2', shop, '10.0.0.2', 1),
    ...['hash', 'turns', 'least', 'sticky', 'wide'].flatMap((name) => [
      member(`${name}1`, `shop/${name}.shop`, '10.0.1.1', 1),
      member(`${name}2`, `shop/${name}.shop`, '10.0.1.2', 3),
    ]),
    member('dev1', 'dev/own.dev', '10.0.2.1', 1),
    member('six1', 'shop/six.shop', 'fd00::6', 1),
    workload('client', { namespace: 'dev', node: 'n1', addresses: ['10.0.9.9', 'fd00::9'], services: new Map() }),
  ];
  await execute(plane, planAll(imageOf(plane), compileAll(model(services, workloads), view)).ops);
  return plane;
}

const clientOf = (plane: Awaited<ReturnType<typeof filled>>, fields: Partial<HeldClient> = {}): HeldClient => {
  const [id] = [...readNames(plane).all('workload')].find(([, name]) => name === 'client') ?? [0];
  const held = plane.map('client').get(id);
  return {
    cgroup: '/c',
    cgroupId: 77n,
    waypoint: false,
    enrolled: true,
    workloadId: id,
    workload: 'client',
    namespaceId: held?.namespace_id ?? 0,
    namespace: 'dev',
    address4: held?.addr4 ?? '',
    address6: held?.addr6 ?? '',
    ...fields,
  };
};
const to = (address: string, portNumber = 80, protocol: 'tcp' | 'udp' = 'tcp') => ({
  address,
  port: portNumber,
  protocol,
});

describe('rows of what the kernel holds', () => {
  it('lists services with frontends, endpoints and their shares', async () => {
    const plane = await filled();
    const rows = new Map([...serviceRows(plane, {})].map((row) => [row.service, row]));
    expect([...rows.keys()]).toEqual([...rows.keys()].sort());
    expect(rows.get(shop)?.backends.map((b) => b.name)).toEqual([`${shop}:80/4`, `${shop}:80/6`]);
    const four = rows.get(shop)?.backends[0];
    expect(four?.frontends).toEqual([{ protocol: 'tcp', address: '10.96.0.1', port: 80, namespace: '*' }]);
    expect(rows.get('dev/own.dev')?.backends[0]?.frontends[0]?.namespace).toBe('dev');
    const share = new Map(four?.endpoints.map((e) => [e.workload, e.probability]));
    expect(share.get(longName)).toBeCloseTo(0.75, 6);
    expect(share.get('w2')).toBeCloseTo(0.25, 6);
    expect(rows.get('shop/wide.shop')?.backends[0]?.frontends[0]?.address).toBe('10.97.0.0/16');
    for (const name of ['turns', 'hash', 'least', 'sticky']) {
      const [light, heavy] = rows.get(`shop/${name}.shop`)?.backends[0]?.endpoints ?? [];
      expect([light?.workload, heavy?.workload]).toEqual([`${name}1`, `${name}2`]);
      expect(heavy?.probability).toBeCloseTo(0.75, 2);
    }
  });

  it('filters by name and address, and stops at the limit', async () => {
    const plane = await filled();
    const names = (filter: string, limit?: number) =>
      [...serviceRows(plane, { filter, ...(limit === undefined ? {} : { limit }) })].map((row) => row.service);
    expect(names('own')).toEqual(['dev/own.dev']);
    expect(names('10.97.')).toEqual(['shop/wide.shop']);
    expect(names('shop/', 2)).toEqual([shop, 'shop/direct.shop']);
    expect([...workloadRows(plane, { filter: 'long-' })]).toMatchObject([
      { workload: longName, connections: 0, endpoints: [{ address: '10.0.0.1', port: 8080 }, {}] },
    ]);
    expect([...workloadRows(plane, { filter: 'fd00::9' })]).toMatchObject([
      { workload: 'client', client: { namespace: 'dev', address4: '10.0.9.9', address6: 'fd00::9' } },
    ]);
    expect([...workloadRows(plane, { limit: 3 })]).toHaveLength(3);
  });

  it('gives lines for /etc/hosts without ranges', async () => {
    const lines = showHosts(serviceRows(await filled(), {})).split('\n');
    expect(lines).toContain('10.96.0.1\tcart.shop');
    expect(lines).toContain('fd96::1\tcart.shop');
    expect(lines.filter((line) => line.includes('wide'))).toEqual([]);
    expect(new Set(lines).size).toBe(lines.length);
  });

  it('counts what each map holds', async () => {
    const plane = await filled();
    const use = new Map(mapUse(plane).map((m) => [m.name, m]));
    expect(use.get('backend')?.used).toBe([...plane.map('backend').entries()].length);
    expect(use.get('endpoint')).toMatchObject({ fragmentation: 0, size: plane.map('endpoint').maxEntries });
    expect(use.get('endpoint')?.used).toBe([...plane.map('endpoint').entries()].length);
    expect(use.get('client')?.used).toBe(1);
    expect(use.get('frontend')?.percent).toBe(0);
  });

  it('reads single names, also long ones and ids without a name', async () => {
    const plane = await filled();
    for (const [id, name] of readNames(plane).all('workload')) expect(readName(plane, 'workload', id)).toBe(name);
    expect(readName(plane, 'workload', 9999)).toBe('#9999');
    expect(readNames(plane).nameOf('workload', 9999)).toBe('#9999');
    expect(readName(plane, 'workload', 0)).toBe('');
  });
});

describe('explanation by the kernel', () => {
  it.each([
    ['10.96.0.2', 80, 'balanced', 'shop/hash.shop'],
    ['10.97.3.4', 80, 'balanced', 'shop/wide.shop'],
    ['10.96.0.1', 80, 'balanced', 'dev/own.dev'],
    ['fd96::1', 80, 'balanced', shop],
    ['10.96.0.6', 80, 'refused', 'shop/none.shop'],
    ['10.96.0.7', 80, 'left-alone', 'shop/direct.shop'],
    ['10.96.0.8', 80, 'refused', 'shop/six.shop'],
    ['10.96.0.2', 81, 'left-alone', ''],
    ['192.0.2.1', 80, 'left-alone', ''],
  ] as const)('says of %s:%d: %s', async (address, portNumber, outcome, name) => {
    const plane = await filled();
    const said = explainByKernel(plane, clientOf(plane), to(address, portNumber), 0n);
    expect([said.outcome, said.service]).toEqual([outcome, name]);
    const sum = said.candidates.reduce((total, c) => total + c.probability, 0);
    expect(sum).toBeCloseTo(said.candidates.length === 0 ? 0 : 1, 6);
  });

  it('leaves clients alone that are not enrolled, or see nothing', async () => {
    const plane = await filled();
    const outside = clientOf(plane, { enrolled: false });
    expect(explainByKernel(plane, outside, to('10.96.0.2'), 0n)).toMatchObject({
      outcome: 'left-alone',
      why: 'the client is not enrolled',
    });
    expect(explainByKernel(plane, undefined, to('10.96.0.1'), 0n).service).toBe(shop);
  });

  it('names the endpoint of a source hash as the programs compute it', async () => {
    const plane = await filled();
    const backend = [...serviceRows(plane, { filter: 'hash' })][0]?.backends[0];
    const said = explainByKernel(plane, clientOf(plane), to('10.96.0.2'), 0n);
    expect(said.predicted?.because).toBe('source hash of 10.0.9.9');
    expect(backend?.endpoints.map((e) => e.workload)).toContain(said.predicted?.workload);
    const header = [...plane.map('backend').entries()]
      .map(([, b]) => plane.header(b.first))
      .find((h) => h.policy === 3);
    const table = (hash: number) => {
      const at = hash % (header?.maglev_size ?? 1);
      return plane.map('maglev').get((header?.maglev_first ?? 0) + (at >> 1))?.index[at & 1] ?? -1;
    };
    expect(said.predicted?.workload).toBe(backend?.endpoints[table(addressHash('10.0.9.9'))]?.workload);
    const nameless = clientOf(plane, { workloadId: 0, workload: '', namespaceId: 0 });
    const other = explainByKernel(plane, nameless, to('10.96.0.2'), 0n);
    expect(other.predicted?.because).toBe('source hash of cgroup 77');
    expect(other.predicted?.workload).toBe(backend?.endpoints[table(cgroupHash(77n))]?.workload);
  });

  it('names the endpoint that affinity holds until it is too old or gone', async () => {
    const plane = await filled();
    const client = clientOf(plane);
    const id = [...readNames(plane).all('backend')].find(([, name]) => name.includes('sticky'))?.[0] ?? 0;
    const [last] = [...readNames(plane).all('workload')].find(([, name]) => name === 'sticky2') ?? [0];
    const value = { used_ns: 1_000_000_000n, addr: '10.0.1.2', workload_id: last, port: 8080 };
    plane.map('affinity').put([[{ client: BigInt(client.workloadId), backend_id: id }, value]]);
    const at = (seconds: bigint) => explainByKernel(plane, client, to('10.96.0.5'), seconds * 1_000_000_000n).predicted;
    expect(at(43n)).toMatchObject({ workload: 'sticky2', because: 'session affinity, 42 s since its last connection' });
    expect(at(62n)).toBeUndefined();
    plane.map('affinity').put([
      [
        { client: BigInt(client.workloadId), backend_id: id },
        { ...value, port: 9 },
      ],
    ]);
    expect(at(43n)).toBeUndefined();
  });
});

describe('shares', () => {
  const half = 2 ** 31;
  it.each([
    [
      'random' as const,
      [
        [half, 1],
        [0xffffffff, 1],
      ],
      [],
      [0.25, 0.75],
    ],
    [
      'round-robin' as const,
      [
        [0, 0],
        [0, 0],
      ],
      [],
      [0.5, 0.5],
    ],
    [
      'round-robin' as const,
      [
        [0, 0],
        [0, 0],
      ],
      [0, 1, 1, 1],
      [0.25, 0.75],
    ],
    [
      'least-request' as const,
      [
        [1, 0],
        [4, 0],
      ],
      [],
      [0.2, 0.8],
    ],
  ])('of %s', (policy, slots, table, expected) => {
    const list = slots.map(([threshold = 0, alias = 0]) => ({ threshold, alias }));
    shares(policy, list, table).forEach((share, i) => {
      expect(share).toBeCloseTo(expected[i] as number, 6);
    });
  });
});

describe('connections through waypoints', () => {
  const way = service({ name: 'way', namespace: 'infra', hostname: 'way.infra', addresses: [] });
  const byHost: GatewayAddress = {
    destination: { kind: 'hostname', namespace: 'infra', hostname: 'way.infra' },
    hboneMtlsPort: 15008,
  };
  const open = async (fields: Partial<Service>, ...more: ReturnType<typeof workload>[]) => {
    const plane = openMemory();
    const all = [member('w', shop, '10.0.0.1'), workload('client', { node: 'n1', services: new Map() }), ...more];
    const made = model([service({ waypoint: byHost, ...fields }), way], all);
    await execute(plane, planAll(imageOf(plane), compileAll(made, view)).ops);
    return plane;
  };
  const proxy = member('p', 'infra/way.infra', '10.0.9.1', 1, { node: 'n1' });
  const name = 'waypoint:infra/way.infra/4';

  it('lead to its endpoints, but for its own', async () => {
    const plane = await open({}, proxy);
    const said = explainByKernel(plane, clientOf(plane), to('10.96.0.1'), 0n);
    expect(said).toMatchObject({
      ...{ outcome: 'balanced', waypoint: name, service: shop, backend: `${shop}:80/4`, policy: 'least-request' },
      why: `through ${name}, to one of 1 endpoint, by least-request`,
      candidates: [{ workload: 'p', address: '10.0.9.1', port: 15088 }],
    });
    const own = explainByKernel(plane, clientOf(plane, { waypoint: true }), to('10.96.0.1'), 0n);
    expect(own).toMatchObject({ outcome: 'balanced', candidates: [{ workload: 'w' }] });
    expect(own.notes).toContain(`the client is a waypoint itself: past ${name}`);
    const use = new Map(mapUse(plane).map((m) => [m.name, m]));
    expect(use.get('endpoint')?.used).toBe([...plane.map('endpoint').entries()].length);
  });

  it('do not come to its port but through it', async () => {
    const plane = await open({}, proxy);
    const direct = to('10.0.9.1', 15088);
    const why = 'a waypoint reads a header at 10.0.9.1:15088, which only connections through it get';
    expect(explainByKernel(plane, clientOf(plane), direct, 0n)).toMatchObject({ outcome: 'refused', why });
    expect(explainByKernel(plane, undefined, direct, 0n)).toMatchObject({ outcome: 'refused', why });
    expect(explainByKernel(plane, clientOf(plane), { ...direct, protocol: 'udp' }, 0n).outcome).toBe('left-alone');
    expect(explainByKernel(plane, clientOf(plane), to('10.0.9.1', 15024), 0n).outcome).toBe('left-alone');
    expect(explainByKernel(plane, clientOf(plane), to('fe80::1', 15088), 0n).outcome).toBe('refused');
    expect(explainByKernel(plane, clientOf(plane, { enrolled: false }), direct, 0n).outcome).toBe('left-alone');
    expect(explainByKernel(plane, clientOf(plane), to('127.0.0.1', 15088), 0n).outcome).toBe('left-alone');
    const itself = (fields: Partial<HeldClient>) =>
      explainByKernel(plane, clientOf(plane, fields), to('127.0.0.1', 15088), 0n).outcome;
    expect([itself({ waypoint: true }), itself({ workloadId: 0 })]).toEqual(['refused', 'left-alone']);
    const key = { addr: '::1', port: 15088, protocol: 6 };
    plane.map('waypoint_port').put([[key, portFlag.node]]);
    expect([itself({}), itself({ workloadId: 0 })]).toEqual(['left-alone', 'refused']);
    plane.map('waypoint_port').delete([key]);
    const setting = plane.map('setting').get(0) ?? { abi_version: 1, flags: 0, ports: 0n };
    plane.map('setting').put([[0, { ...setting, flags: settingFlag.portsFull }]]);
    expect(explainByKernel(plane, clientOf(plane), to('10.0.9.1', 15024), 0n)).toMatchObject({
      ...{ outcome: 'refused', why: expect.stringContaining('"waypoint_port" is full') },
    });
    expect([itself({}), itself({ workloadId: 0 }), itself({ waypoint: true })]).toEqual([
      'left-alone',
      'refused',
      'refused',
    ]);
  });

  it('are refused where a service leads to its port', async () => {
    const key = 'shop/leads.shop';
    const leads = (ports: Service['ports'], ...more: Workload[]) =>
      model(
        [service({ waypoint: byHost }), way, named('leads', '10.96.0.3', { ports })],
        [{ ...proxy, services: new Map([...proxy.services, [key, []]]) }, workload('w'), ...more],
      );
    const said = async (made: Model) => {
      const plane = openMemory();
      await execute(plane, planAll(imageOf(plane), compileAll(made, view)).ops);
      return explainByKernel(plane, undefined, to('10.96.0.3'), 0n);
    };
    const ports = [port(80, { targetPort: 15088 })];
    expect(await said(leads(ports))).toMatchObject({
      ...{ outcome: 'refused', service: key, why: expect.stringContaining('10.0.9.1:15088') },
    });
    const some = await said(leads(ports, member('x', key, '10.0.1.1')));
    expect(some.outcome).toBe('balanced');
    expect(some.notes).toContainEqual(expect.stringContaining('1 of 2 endpoints'));
    expect((await said(leads([port(80)]))).outcome).toBe('balanced');
  });

  it('are refused, or go past it, without one', async () => {
    const refused = await open({});
    expect(explainByKernel(refused, clientOf(refused), to('10.96.0.1'), 0n)).toMatchObject({
      ...{ outcome: 'refused', why: `${name} has no usable endpoint`, candidates: [] },
    });
    const direct = await open({ waypointUnready: 'direct' });
    expect(explainByKernel(direct, clientOf(direct), to('10.96.0.1'), 0n)).toMatchObject({
      ...{ outcome: 'balanced', candidates: [{ workload: 'w' }] },
    });
    const first = await open({ ports: [port(3306)] }, proxy);
    const said = explainByKernel(first, clientOf(first), to('10.96.0.1', 3306), 0n);
    expect([said.outcome, said.why]).toEqual([
      'refused',
      `the server speaks first on this port: ${name} would wait for the client's first bytes`,
    ]);
  });
});

describe('a waypoint of one workload', () => {
  const way: GatewayAddress = {
    ...{ destination: { kind: 'hostname', namespace: 'infra', hostname: 'way.infra' }, hboneMtlsPort: 15008 },
    gateway: 'infra/way',
  };
  const behind = (fields = {}) => workload('client', { node: 'n1', addresses: ['10.0.9.9'], waypoint: way, ...fields });
  const gate = service({ name: 'way', namespace: 'infra', hostname: 'way.infra', addresses: [] });
  const proxy = workload('p', { addresses: ['10.0.9.1'], services: new Map([['infra/way.infra', []]]) });
  const of = async (...workloads: Parameters<typeof model>[1] & object) => {
    const plane = openMemory();
    await execute(plane, planAll(imageOf(plane), compileAll(model([gate], workloads), view)).ops);
    const [id = 0] = [...readNames(plane).all('workload')].find(([, name]) => name === 'client') ?? [];
    return unusableBefore(plane, id);
  };

  it('is told as unusable while it has no endpoint', async () => {
    const waypoint = 'waypoint:infra/way.infra/4';
    expect(await of(behind())).toEqual({ waypoint, instead: 'refuse' });
    expect(await of(behind({ waypointUnready: 'direct' }))).toEqual({ waypoint, instead: 'direct' });
    expect(await of(behind(), proxy)).toBeUndefined();
    expect(await of(behind({ waypoint: undefined }))).toBeUndefined();
    expect(unusableBefore(openMemory(), 0)).toBeUndefined();
  });
});
