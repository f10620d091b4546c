// SPDX-License-Identifier: Apache-2.0
// On demand in the programs: what is asked for, how often, and what becomes of connections meanwhile. The answers are the test's.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { missAgainNs, missState } from '../../src/abi/structs.ts';
import type { OnMiss } from '../../src/compile/image.ts';
import type { MissRecord } from '../../src/kernel/dataplane.ts';
import { openPinned, type PinnedDataPlane } from '../../src/kernel/pinned.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { endpoint } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let stranger: Python;
/** The agent's eyes: they see nothing before `look`. */
let eyes: PinnedDataPlane;
let seen: MissRecord[];
let looking: Promise<void>;

beforeAll(async () => {
  mesh = await openMesh(['client', 'stranger', 'a', 'there'], { name: 'demand' });
  await mesh.serve('a', 'tcp/8080', 'udp/8080');
  // Who is left alone ends here.
  await mesh.serve('there', 'tcp/80', 'tcp/81', 'udp/80');
  await mesh.enroll('client');
  client = await mesh.python('client');
  stranger = await mesh.python('stranger');
});
afterAll(() => mesh?.close());

beforeEach(() => {
  const misses = mesh.plane.map('miss');
  misses.delete([...misses.entries()].map(([address]) => address));
  eyes = openPinned(mesh.plane.bpffs);
  seen = [];
  looking = Promise.resolve();
});
afterEach(async () => {
  eyes.close();
  await looking;
  // What is left in the ring is nobody's.
  const rest = openPinned(mesh.plane.bpffs);
  mesh.plane.map('miss').put([['10.9.9.9', { since_ns: 1n, state: missState.asked }]]);
  await rest.nextMisses();
  rest.close();
});

function look(): void {
  let open = true;
  const { close } = eyes;
  eyes = {
    ...eyes,
    close() {
      open = false;
      close();
    },
  };
  const read = async () => {
    while (open) {
      const found = await eyes.nextMisses();
      seen.push(...found);
    }
  };
  looking = read();
}

/** No service, and services on the server's address: `ports` of both protocols. */
async function want(onMiss: OnMiss, ...ports: readonly number[]): Promise<void> {
  mesh.image.onMiss = onMiss;
  const { address4, address6 } = mesh.pod('there');
  await mesh.want(
    ...ports.flatMap((port) =>
      (['tcp', 'udp'] as const).flatMap((protocol) => [
        {
          name: `${protocol}4-${port}`,
          at: [`${address4}:${port}`],
          protocol,
          endpoints: [endpoint(mesh.pod('a'), 8080)],
        },
        {
          name: `${protocol}6-${port}`,
          at: [`[${address6}]:${port}`],
          protocol,
          endpoints: [endpoint(mesh.pod('a'), 8080, 1, 6)],
        },
      ]),
    ),
  );
  mesh.plane.setUdpHooks(true);
}

const answered = (...addresses: readonly string[]) =>
  mesh.plane
    .map('miss')
    .put(addresses.map((address) => [address, { since_ns: process.hrtime.bigint(), state: missState.answered }]));
const addresses = () => seen.map(({ addr }) => addr);
/** Everything reported before has been seen when this returns. */
async function caughtUp(): Promise<void> {
  const marker = `10.250.0.${++markers}`;
  mesh.plane.map('miss').delete([marker]);
  await client.run(
    'with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: out = failure(lambda: s.connect((marker, 9)))',
    {
      marker,
    },
  );
  await until(() => addresses().includes(marker));
  seen = seen.filter(({ addr }) => addr !== marker);
}
let markers = 0;
async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !condition(); await pause(5)) {
    if (performance.now() > end) throw new Error(`not within a minute: ${condition}`);
  }
}

/** "a", "there", or the name of the errno. */
const kinds = {
  tcp: 'def go(host, port=80): return call(host, port)',
  'connected UDP': `
def go(host, port=80):
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((host, port))
        s.send(b"x")
        return s.recv(99).decode().split()[0]`,
  'UDP by sendto': 'def go(host, port=80): return ask(host, port)["who"]',
} as const;
const dialled = async (python: Python, kind: keyof typeof kinds, host: string, port = 80): Promise<string> =>
  python.run(
    `${kinds[kind]}
try:
    out = go(host, port)
except OSError as e:
    out = name_of(e)`,
    { host, port },
  );

const each = (Object.keys(kinds) as (keyof typeof kinds)[]).flatMap((kind) => [
  [kind, 'IPv4', (m: Mesh) => m.pod('there').address4, (m: Mesh) => m.pod('there').address4] as const,
  [kind, 'IPv6', (m: Mesh) => m.pod('there').address6, (m: Mesh) => m.pod('there').address6] as const,
  [kind, 'v4-mapped', (m: Mesh) => `::ffff:${m.pod('there').address4}`, (m: Mesh) => m.pod('there').address4] as const,
]);

test.each(each)('%s, %s: refused until the answer is there, then balanced', async (kind, _family, host, asked) => {
  look();
  await want('refuse');
  const first = await mesh.counting(() => dialled(client, kind, host(mesh)));
  expect(first).toEqual({ value: 'ECONNREFUSED', reasons: expect.objectContaining({ miss_refused: 1 }) });
  expect(await dialled(client, kind, host(mesh))).toBe('ECONNREFUSED');
  await caughtUp();
  expect(addresses()).toEqual([asked(mesh)]);
  expect(seen[0]).toMatchObject({ state: missState.asked });
  const age = process.hrtime.bigint() - (seen[0]?.since_ns ?? 0n);
  expect(age > 0n && age < 120_000_000_000n).toBe(true);

  await want('refuse', 80);
  expect(await dialled(client, kind, host(mesh))).toBe('a');
  answered(asked(mesh));
  expect(await dialled(client, kind, host(mesh))).toBe('a');
  await caughtUp();
  expect(seen).toHaveLength(1);
});

test.each(each)('%s, %s: goes direct until the answer is there, then balanced', async (kind, _family, host, asked) => {
  look();
  await want('direct');
  const first = await mesh.counting(() => dialled(client, kind, host(mesh)));
  expect(first.value).toBe('there');
  // Each datagram counts.
  expect(first.reasons.miss_direct).toBeGreaterThan(0);
  expect(await dialled(client, kind, host(mesh))).toBe('there');
  await want('direct', 80);
  expect(await dialled(client, kind, host(mesh))).toBe('a');
  await caughtUp();
  expect(addresses()).toEqual([asked(mesh)]);
});

test.each(each)(
  '%s, %s: what the mesh does not know goes direct, and nothing more is said',
  async (kind, _family, host, asked) => {
    look();
    await want('refuse');
    expect(await dialled(client, kind, host(mesh))).toBe('ECONNREFUSED');
    answered(asked(mesh));
    const { value, reasons } = await mesh.counting(() => dialled(client, kind, host(mesh)));
    expect(value).toBe('there');
    expect(reasons.unknown_destination).toBeGreaterThan(0);
    expect(reasons).not.toHaveProperty('miss_refused');
    await caughtUp();
    expect(seen).toHaveLength(1);
  },
);

test('off: nothing is reported or remembered', async () => {
  look();
  await want('off');
  for (const kind of Object.keys(kinds) as (keyof typeof kinds)[]) {
    expect(await dialled(client, kind, mesh.pod('there').address4)).toBe('there');
  }
  expect(mesh.plane.map('miss').count()).toBe(0);
  await want('direct');
  await caughtUp();
  expect(seen).toEqual([]);
});

test('who is not enrolled reports nothing and is refused nothing', async () => {
  look();
  await want('refuse');
  const { address4, address6 } = mesh.pod('there');
  for (const kind of Object.keys(kinds) as (keyof typeof kinds)[]) {
    expect(await dialled(stranger, kind, address4)).toBe('there');
    expect(await dialled(stranger, kind, address6)).toBe('there');
  }
  expect(mesh.plane.map('miss').count()).toBe(0);
});

test('a port that a known address does not serve is asked about once', async () => {
  look();
  await want('refuse', 80);
  const { address4 } = mesh.pod('there');
  expect(await dialled(client, 'tcp', address4)).toBe('a');
  expect(await dialled(client, 'tcp', address4, 81)).toBe('ECONNREFUSED');
  answered(address4);
  expect(await dialled(client, 'tcp', address4, 81)).toBe('there');
  expect(await dialled(client, 'tcp', address4, 80)).toBe('a');
  await caughtUp();
  expect(addresses()).toEqual([address4]);
});

test.each([
  ['refuse', 'ECONNREFUSED'],
  ['direct', 'a'],
] as const)('an address within a known range is asked for too; %s', async (onMiss, meanwhile) => {
  look();
  mesh.image.onMiss = onMiss;
  await mesh.want({ name: 'range', at: ['10.0.0.0/24:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] });
  const { address4 } = mesh.pod('there');
  expect(await dialled(client, 'tcp', address4)).toBe(meanwhile);
  answered(address4);
  expect(await dialled(client, 'tcp', address4)).toBe('a');
  await caughtUp();
  expect(addresses()).toEqual([address4]);
});

test('addresses that can be nobody else are never asked for', async () => {
  look();
  await want('refuse');
  const { address4, address6 } = mesh.pod('client');
  const never = [
    '0.0.0.0',
    '127.0.0.1',
    '169.254.1.1',
    '224.0.0.1',
    '239.1.2.3',
    '::',
    '::1',
    'ff02::1',
    address4,
    address6,
  ];
  const code = `
out = []
for host in hosts:
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        out.append(failure(lambda: s.connect((host, 9))))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    out.append(failure(lambda: s.connect(("fe80::1", 9, 0, socket.if_nametoindex("eth0")))))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    out.append(failure(lambda: s.connect(("::ffff:127.0.0.1", 9))))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    out.append(failure(lambda: s.connect(("255.255.255.255", 9))))`;
  const { value, reasons } = await mesh.counting(() => client.run<string[]>(code, { hosts: never }));
  expect(value.filter((errno) => errno === 'ECONNREFUSED')).toEqual([]);
  expect(reasons).not.toHaveProperty('miss_refused');
  expect(mesh.plane.map('miss').count()).toBe(0);
});

test('an old answer is asked about again when it is used, and holds meanwhile', async () => {
  look();
  await want('refuse');
  const { address4 } = mesh.pod('there');
  const old = { since_ns: process.hrtime.bigint() - missAgainNs, state: missState.answered };
  mesh.plane.map('miss').put([[address4, old]]);
  for (let i = 0; i < 3; i++) expect(await dialled(client, 'tcp', address4)).toBe('there');
  await caughtUp();
  expect(seen).toMatchObject([{ addr: address4, state: missState.answered }]);
  // A question that nobody answered is put again likewise.
  mesh.plane.map('miss').put([[address4, { ...old, state: missState.asked }]]);
  for (let i = 0; i < 3; i++) expect(await dialled(client, 'tcp', address4)).toBe('ECONNREFUSED');
  await caughtUp();
  expect(seen).toMatchObject([{}, { addr: address4, state: missState.asked }]);
});

test('more than the ring holds: nothing is forgotten', async () => {
  await want('refuse');
  const many = 3000;
  const code = `
out = 0
for n in range(many):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        out += failure(lambda: s.connect(("10.%d.%d.%d" % (100 + n // 65536, n // 256 % 256, n % 256), 9))) == "ECONNREFUSED"`;
  const { value, reasons } = await mesh.counting(() => client.run<number>(code, { many }));
  expect(value).toBe(many);
  expect(reasons).toMatchObject({ miss_refused: many });
  expect(reasons.miss_lost).toBeGreaterThan(0);
  look();
  await until(() => new Set(addresses()).size === many);
  // The same while somebody is looking, who sees that some were lost.
  seen = [];
  const misses = mesh.plane.map('miss');
  misses.delete([...misses.entries()].map(([address]) => address));
  await client.run(code, { many });
  await until(() => new Set(addresses()).size === many);
});

test('many processes that dial the same address at once report it once', async () => {
  look();
  await want('refuse');
  const { address4 } = mesh.pod('there');
  const code = `
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    out = sorted(set(pool.map(lambda _: failure(lambda: call(there, 80)), range(400))))`;
  expect(await client.run(code, { there: address4 })).toEqual(['ECONNREFUSED']);
  await caughtUp();
  expect(addresses()).toEqual([address4]);
});
