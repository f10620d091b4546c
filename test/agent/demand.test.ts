// SPDX-License-Identifier: Apache-2.0
// Demand over a data plane in memory: what is asked for and when, what is written back, what is remembered and for how long.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { missState } from '../../src/abi/structs.ts';
import { type Demand, type DemandOptions, openDemand } from '../../src/agent/demand.ts';
import { writeEnrolments } from '../../src/agent/enrolments.ts';
import { openLog } from '../../src/agent/log.ts';
import { nameParts } from '../../src/compile/names.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import { emptyModel } from '../../src/mesh/apply.ts';
import type { GatewayAddress } from '../../src/mesh/gateway.ts';
import type { Change, Model } from '../../src/mesh/model.ts';
import type { Service } from '../../src/mesh/service.ts';

let plane: MemoryDataPlane;
let demand: Demand | undefined;
let model: Model;
let wishes: (readonly [wish: 'want' | 'again' | 'unwant', ...names: string[]])[];
let time: bigint;
let log: string;

beforeEach(() => {
  plane = openMemory();
  model = emptyModel;
  wishes = [];
  time = 0n;
  log = '';
});
afterEach(() => {
  vi.useRealTimers();
  demand?.close();
  plane.close();
  demand = undefined;
});

const wish = (kind: 'want' | 'again' | 'unwant') => (names: Iterable<string>) => {
  const list = [...names];
  if (list.length > 0) wishes.push([kind, ...list]);
};
const said = (text: string): void => {
  log += text;
};
async function open(options: Partial<DemandOptions> = {}): Promise<Demand> {
  demand = await openDemand({
    onMiss: 'refuse',
    network: 'net',
    clusterId: 'Kubernetes',
    log: openLog({ write: said } as never, 'warn', {}),
    plane: () => plane,
    inside: async (work) => work(plane),
    model: () => model,
    clock: () => time,
    ...options,
  });
  demand.start({ want: wish('want'), again: wish('again'), unwant: wish('unwant') });
  return demand;
}
/** Lets everything run that waits for nothing else. */
const turns = async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};
async function miss(...addresses: readonly string[]): Promise<void> {
  for (const addr of addresses) plane.miss({ addr, since_ns: time, state: missState.asked });
  await turns();
}
const stateOf = (address: string) => plane.map('miss').get(address)?.state;
/** Of a model only this is asked: which services have an address. */
function owned(...addresses: readonly string[]): void {
  const owners = new Map(addresses.map((address) => [address, ['shop/cart']]));
  model = { ...emptyModel, owners: owners as unknown as Model['owners'] };
}

test('what is missed is asked for once, with its network; the answer goes back', async () => {
  const opened = await open();
  await miss('10.0.0.1', 'fd00::1', '10.0.0.1');
  await miss('10.0.0.1');
  expect(wishes).toEqual([['want', 'net/10.0.0.1', 'net/fd00::1']]);
  expect(opened.status()).toMatchObject({ addresses: 2, waiting: 2, known: { count: 0 } });
  time = 3_000_000n;
  opened.answered(['shop/cart.shop', 'net/10.0.0.1', 'net/10.0.0.77'], ['net/fd00::1', 'net/fd00::77']);
  await turns();
  expect([stateOf('10.0.0.1'), stateOf('fd00::1')]).toEqual([missState.answered, missState.answered]);
  expect(plane.map('miss').count()).toBe(2);
  expect(opened.status()).toMatchObject({
    onMiss: 'refuse',
    addresses: 2,
    waiting: 0,
    known: { count: 2, sum: 6, p50: expect.closeTo(3, 1), p99: expect.closeTo(3, 1), max: 3 },
  });
  const { buckets } = opened.status().known;
  expect(buckets.filter(({ count }) => count > 0)[0]).toEqual({ atMost: 5, count: 2 });
});

test('without a network the name begins with a slash', async () => {
  await open({ network: '' });
  await miss('10.0.0.1');
  expect(wishes).toEqual([['want', '/10.0.0.1']]);
});

test('an address that was answered and is missed again gets the answer at once', async () => {
  const opened = await open();
  owned('10.0.0.1');
  await miss('10.0.0.1');
  opened.answered(['net/10.0.0.1'], []);
  await turns();
  // The map had no room for it any more.
  await miss('10.0.0.1');
  expect(stateOf('10.0.0.1')).toBe(missState.answered);
  expect(wishes).toHaveLength(1);
  expect(opened.status().known.count).toBe(1);
});

test('an old answer is asked about again, unless a service has the address', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  const opened = await open();
  await miss('10.0.0.1', '10.0.0.2');
  opened.answered(['net/10.0.0.1'], ['net/10.0.0.2']);
  await turns();
  owned('10.0.0.1');
  for (const addr of ['10.0.0.1', '10.0.0.2']) plane.miss({ addr, since_ns: 9n, state: missState.answered });
  await turns();
  expect(wishes).toHaveLength(1);
  vi.advanceTimersByTime(1000);
  expect(wishes.slice(1)).toEqual([['again', 'net/10.0.0.2']]);
  // Nobody waited: no time was measured.
  opened.answered([], ['net/10.0.0.2']);
  expect(opened.status()).toMatchObject({ waiting: 0, known: { count: 2 } });
});

test('what is in use is asked about every minute, and soon when a workload of it goes', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  const opened = await open();
  await miss('10.0.0.1', '10.0.0.2');
  opened.answered(['net/10.0.0.1'], ['net/10.0.0.2']);
  await turns();
  owned('10.0.0.1');
  vi.advanceTimersByTime(61_000);
  expect(wishes.slice(1)).toEqual([['again', 'net/10.0.0.1']]);
  const cart = { addresses: [{ network: '', address: '10.0.0.1' }] };
  model = {
    ...model,
    services: new Map([['shop/cart', cart]]) as unknown as Model['services'],
    workloads: new Map([['pod-1', { services: new Map([['shop/cart', []]]) }]]) as unknown as Model['workloads'],
  };
  const gone: Change[] = [
    { kind: 'remove-workload', uid: 'pod-1' },
    { kind: 'remove-workload', uid: 'pod-2' },
  ];
  opened.noticed(gone);
  opened.noticed(gone);
  vi.advanceTimersByTime(1000);
  expect(wishes.slice(2)).toEqual([['again', 'net/10.0.0.1']]);
});

test('what was in use before is asked for first; services that are gone are let go of, unknown addresses are not', async () => {
  plane.map('frontend').put([
    [
      { addr: '10.0.0.1', port: 80, protocol: 6 },
      { backend_id: 1, tag: 1 },
    ],
    [
      { addr: '10.0.0.1', port: 81, protocol: 6 },
      { backend_id: 1, tag: 2 },
    ],
  ]);
  const long = `shop/${'x'.repeat(100)}.shop.svc.cluster.local`;
  const names = [long, 'shop/cart.shop.svc.cluster.local'].flatMap((name, id) =>
    nameParts(name).map((value, part) => [{ id: id + 1, kind: 2, part }, value] as const),
  );
  plane.map('name').put([...names, [{ id: 9, kind: 1, part: 0 }, nameParts('a workload')[0] as never]]);
  plane.map('miss').put([
    ['10.0.0.5', { since_ns: 1n, state: missState.answered }],
    ['10.0.0.6', { since_ns: 2n, state: missState.asked }],
  ]);
  time = 2_000_002n;
  const opened = await open();
  await turns();
  expect(wishes).toEqual([
    ['want', long, 'shop/cart.shop.svc.cluster.local', 'net/10.0.0.1', 'net/10.0.0.5'],
    ['want', 'net/10.0.0.6'],
  ]);
  opened.answered([long, 'net/10.0.0.1', 'net/10.0.0.6'], ['shop/cart.shop.svc.cluster.local', 'net/10.0.0.5']);
  expect(wishes.slice(2)).toEqual([['unwant', 'shop/cart.shop.svc.cluster.local']]);
  expect(opened.status()).toMatchObject({ addresses: 3, waiting: 0, known: { count: 1, max: 2 } });
});

test('the workloads of enrolled pods are asked for, and let go of', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  const enrolment = (cgroupId: bigint, workload: string) =>
    [cgroupId, { cgroupId, level: 2, workload, netns: 0n, authz: false, sinceNs: 0n }] as const;
  writeEnrolments(plane, new Map([enrolment(5n, 'shop/a'), enrolment(6n, '')]), () => 0);
  const opened = await open();
  expect(wishes).toEqual([['want', 'Kubernetes//Pod/shop/a']]);
  writeEnrolments(plane, new Map([enrolment(5n, 'shop/b')]), () => 0);
  opened.enrolled();
  opened.enrolled();
  expect(wishes.slice(1)).toEqual([
    ['want', 'Kubernetes//Pod/shop/b'],
    ['unwant', 'Kubernetes//Pod/shop/a'],
  ]);
});

test('of a judged pod without a name its addresses are asked for, and let go of unless somebody dialled them', async () => {
  const entry = { netns: 7, host_netns: 1, ifindex: 3, flags: 0 };
  plane.map('pod_address').put([
    ['10.0.0.1', entry],
    ['fd00::1', entry],
    ['10.0.0.2', { ...entry, netns: 8 }],
  ]);
  const pod = { cgroupId: 5n, level: 2, workload: '', netns: 7n, authz: true, sinceNs: 0n };
  writeEnrolments(plane, new Map([[5n, pod]]), () => 0);
  const opened = await open();
  expect(wishes).toEqual([['want', 'net/10.0.0.1', 'net/fd00::1']]);
  await miss('10.0.0.1');
  writeEnrolments(plane, new Map(), () => 0);
  opened.enrolled();
  expect(wishes.slice(2)).toEqual([['unwant', 'net/fd00::1']]);
});

test('addresses that no service has are forgotten, the oldest first, when there are too many', async () => {
  const opened = await open({ limits: { unknown: 8 } });
  const address = (n: number) => `10.0.0.${n}`;
  owned(address(1), address(3));
  for (let n = 1; n <= 14; n++) {
    await miss(address(n));
    opened.answered([], [`net/${address(n)}`]);
    await turns();
  }
  const { addresses, forgotten } = opened.status();
  expect([addresses, forgotten]).toEqual([10, 4]);
  const gone = wishes.filter(([kind]) => kind === 'unwant').flatMap(([, ...names]) => names);
  expect(gone).toEqual([2, 4, 5, 6].map((n) => `net/${address(n)}`));
  expect(stateOf(address(2))).toBeUndefined();
  expect(stateOf(address(1))).toBe(missState.answered);
  // Asked for anew when it is dialled.
  wishes = [];
  await miss(address(2));
  expect(wishes[0]).toEqual(['want', `net/${address(2)}`]);
});

test('addresses that nobody answers for are forgotten, too: a control plane may be away for long', async () => {
  plane.map('frontend').put([
    [
      { addr: '10.9.0.1', port: 80, protocol: 6 },
      { backend_id: 1, tag: 1 },
    ],
  ]);
  const opened = await open({ limits: { unknown: 8 } });
  const address = (n: number) => `10.0.${n >> 8}.${n & 255}`;
  for (let n = 1; n <= 400; n++) await miss(address(n));
  const { addresses, waiting, forgotten } = opened.status();
  expect(addresses).toBeLessThanOrEqual(12);
  expect([waiting, addresses + forgotten]).toEqual([addresses, 401]);
  expect(plane.map('miss').count()).toBe(addresses - 1);
  // What the kernel holds from before is still asked for.
  expect(wishes.filter(([kind, ...names]) => kind === 'unwant' && names.includes('net/10.9.0.1'))).toEqual([]);
  // A late answer for one that is forgotten does no harm; dialled again it is asked for again.
  opened.answered([], [`net/${address(1)}`]);
  wishes = [];
  await miss(address(1));
  expect(wishes[0]).toEqual(['want', `net/${address(1)}`]);
});

test('what is let go of is not asked for again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
  const opened = await open({ limits: { unknown: 4 } });
  await miss('10.0.0.1');
  opened.answered([], ['net/10.0.0.1']);
  await turns();
  plane.miss({ addr: '10.0.0.1', since_ns: 9n, state: missState.answered });
  await turns();
  await miss('10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6');
  expect(wishes.at(-1)).toEqual(['unwant', 'net/10.0.0.1', 'net/10.0.0.2', 'net/10.0.0.3']);
  vi.advanceTimersByTime(1000);
  expect(wishes.filter(([kind]) => kind === 'again')).toEqual([]);
});

test('answers that cannot be written are told of; the next are written', async () => {
  const opened = await open();
  await miss('10.0.0.1', '10.0.0.2');
  plane.failNext('miss', 'ENOMEM');
  opened.answered(['net/10.0.0.1'], []);
  await turns();
  expect(log).toContain('answers could not be written');
  opened.answered(['net/10.0.0.2'], []);
  await turns();
  expect([stateOf('10.0.0.1'), stateOf('10.0.0.2')]).toEqual([missState.asked, missState.answered]);
  await miss('10.0.0.1');
  expect(stateOf('10.0.0.1')).toBe(missState.answered);
});

test('a plane that another one replaces is followed', async () => {
  await open();
  await miss('10.0.0.1');
  const old = plane;
  plane = openMemory();
  old.close();
  await turns();
  await miss('10.0.0.2');
  expect(wishes).toEqual([
    ['want', 'net/10.0.0.1'],
    ['want', 'net/10.0.0.2'],
  ]);
});

test('asks for the waypoints of what it learns, once, and keeps them', async () => {
  const service = (waypoint: GatewayAddress): Change => ({
    kind: 'put-service',
    service: { weightedWaypoints: [], waypoint } as unknown as Service,
  });
  const byHost = {
    destination: { kind: 'hostname', namespace: 'infra', hostname: 'way.infra' },
    hboneMtlsPort: 0,
  } as const;
  const byAddress = {
    destination: { kind: 'address', network: 'net', address: '10.0.9.9' },
    hboneMtlsPort: 0,
  } as const;
  const { noticed, answered } = await open();
  noticed([service(byHost), service(byHost)]);
  noticed([service(byHost), service(byAddress)]);
  answered([], ['infra/way.infra']);
  expect(wishes).toEqual([
    ['want', 'infra/way.infra'],
    ['want', 'net/10.0.9.9'],
  ]);
});
