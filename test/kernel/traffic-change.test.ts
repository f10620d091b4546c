// SPDX-License-Identifier: Apache-2.0
// Changes under load: nothing is lost, and what answers belongs to the set before or after the change, never to a mix.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { endpoint, type ServiceSpec } from '../support/wanted.ts';

const FIRST_PORT = 9000;
const SETS = 8;
const SET_SIZE = 4;
const LAST_PORT = FIRST_PORT + SETS * SET_SIZE - 1;

let mesh: Mesh;
const clients: Python[] = [];

beforeAll(async () => {
  mesh = await openMesh(['client1', 'client2', 'a', 'b', 'decoy', 'other']);
  for (const name of ['a', 'b'])
    await mesh.serve(name, `tcp/${FIRST_PORT}-${LAST_PORT}`, `udp/${FIRST_PORT}-${LAST_PORT}`);
  await mesh.serve('decoy', 'tcp/80', 'udp/80');
  for (const name of ['client1', 'client2']) {
    await mesh.enroll(name);
    clients.push(await mesh.python(name));
  }
});
afterAll(() => mesh?.close());

/** [began, ended, "name port" or an errno's name]; times are CLOCK_MONOTONIC in nanoseconds. */
type Call = readonly [number, number, string];

/** Calls in a thread until told to stop. */
const CALLING = `
def calling(action, into):
    while not stop.is_set():
        start = time.monotonic_ns()
        try:
            who = action()
        except OSError as e:
            who = name_of(e)
        into.append([start, time.monotonic_ns(), who])
def tcp(host):
    with dial(host, 80) as s: return first_line(s)
def udp_connected():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(3); s.connect(("10.96.0.1", 80)); s.send(b"x"); return s.recv(99).decode().rsplit(" ", 1)[0]
flow = socket.socket(type=socket.SOCK_DGRAM); flow.settimeout(3)
def udp_flow():
    flow.sendto(b"x", ("10.96.0.1", 80)); return flow.recv(99).decode().rsplit(" ", 1)[0]
def begin(actions):
    global stop, seen, threads
    stop, seen = threading.Event(), [[] for _ in actions]
    threads = [threading.Thread(target=calling, args=(a, s)) for a, s in zip(actions, seen)]
    for t in threads: t.start()
def end():
    stop.set()
    for t in threads: t.join()
    return seen
`;

/** Set `k`: ports of its own on both pods. */
const setOf = (k: number, options: Partial<ServiceSpec> = {}): ServiceSpec[] => {
  const ports = Array.from({ length: SET_SIZE }, (_, i) => FIRST_PORT + (k % SETS) * SET_SIZE + i);
  const endpoints = ports.map((port, i) => endpoint(mesh.pod(i % 2 ? 'b' : 'a'), port, 1 + i));
  return [
    { name: 's', at: ['10.96.0.1:80', '[fd96::1]:80'], endpoints, ...options },
    { name: 'u', at: ['10.96.0.1:80'], protocol: 'udp', endpoints, ...options },
  ];
};

const now = () => Number(process.hrtime.bigint());

interface Change {
  readonly set: number;
  readonly began: number;
  readonly ended: number;
}

/** Makes `count` changes one after the other, each of them to the next set, and goes on until `ms` have passed. */
async function changeOften(count: number, ms: number, make: (set: number) => Promise<void>): Promise<Change[]> {
  const changes: Change[] = [{ set: 0, began: 0, ended: 0 }];
  const until = now() + ms * 1e6;
  for (let k = 1; k <= count || now() < until; k++) {
    const began = now();
    await make(k);
    changes.push({ set: k, began, ended: now() });
    await pause(0);
  }
  return changes;
}

/** Calls that no set explains which was current at some moment between their begin and end. */
function unexplained(calls: readonly Call[], changes: readonly Change[]): Call[] {
  const wrong: Call[] = [];
  for (const call of calls) {
    const [began, ended, who] = call;
    const port = Number(who.split(' ')[1]);
    const set = Math.floor((port - FIRST_PORT) / SET_SIZE);
    const fits = changes.some(
      (change, i) =>
        change.set % SETS === set &&
        change.began <= ended &&
        (changes[i + 1]?.ended ?? Number.POSITIVE_INFINITY) >= began,
    );
    if (!fits) wrong.push(call);
  }
  return wrong;
}

const TCP = '[lambda: tcp("10.96.0.1"), lambda: tcp("fd96::1")]';
const ALL = '[lambda: tcp("10.96.0.1"), lambda: tcp("fd96::1"), udp_connected, udp_flow]';

test.each([
  ['random', {}, ALL],
  ['round robin with weights', { policy: 'round-robin' }, ALL],
  ['source hash', { policy: 'source-hash' }, ALL],
  ['least request', { policy: 'least-request' }, ALL],
  ['affinity', { affinitySeconds: 60 }, TCP],
] as const)(
  '%s: hundreds of changes under load lose nothing and show no mixed set',
  async (_what, options, actions) => {
    await mesh.want(...setOf(0, options));
    for (const client of clients) await client.run(`${CALLING}\nbegin(${actions})`);
    const { value: changes, reasons } = await mesh.counting(() =>
      changeOften(500, 2000, (set) => mesh.want(...setOf(set, options))),
    );
    const calls: Call[] = [];
    for (const client of clients) calls.push(...(await client.run<Call[][]>('out = end()')).flat());
    expect(changes.length).toBeGreaterThan(500);
    expect(calls.length).toBeGreaterThan(500);
    expect(calls.filter(([, , who]) => !who.includes(' '))).toEqual([]);
    expect(unexplained(calls, changes)).toEqual([]);
    expect(reasons).not.toHaveProperty('torn_backend');
    expect(reasons).not.toHaveProperty('torn_frontend');
  },
);

test('services that come and go beside it disturb nobody', async () => {
  const beside = (k: number): ServiceSpec[] =>
    Array.from({ length: 20 }, (_, i) => ({
      name: `beside-${(k + i) % 40}`,
      at: [`10.96.1.${(k + i) % 40}:80`],
      endpoints: [endpoint(mesh.pod('a'), FIRST_PORT)],
    }));
  await mesh.want(...setOf(0), ...beside(0));
  for (const client of clients) await client.run(`${CALLING}\nbegin(${ALL})`);
  await changeOften(100, 2000, (k) => mesh.want(...setOf(0), ...beside(k)));
  const calls: Call[] = [];
  for (const client of clients) calls.push(...(await client.run<Call[][]>('out = end()')).flat());
  expect(calls.filter(([, , who]) => !who.includes(' '))).toEqual([]);
  expect(unexplained(calls, [{ set: 0, began: 0, ended: 0 }])).toEqual([]);
});

test('a frontend that moves between backends under load is always one of the two', async () => {
  const endpoints = (k: number) => [endpoint(mesh.pod('a'), FIRST_PORT + k * SET_SIZE)];
  // The backend's name changes with every step, so the old one and its id go while calls are on their way.
  const moved = (k: number): ServiceSpec => ({ name: `m${k}`, at: ['10.96.0.1:80'], endpoints: endpoints(k % SETS) });
  await mesh.want(moved(0));
  const actions = '[lambda: tcp("10.96.0.1"), lambda: tcp("10.96.0.1")]';
  for (const client of clients) await client.run(`${CALLING}\nbegin(${actions})`);
  const changes = await changeOften(100, 2000, (k) => mesh.want(moved(k)));
  const calls: Call[] = [];
  for (const client of clients) calls.push(...(await client.run<Call[][]>('out = end()')).flat());
  expect(calls.filter(([, , who]) => !who.includes(' '))).toEqual([]);
  expect(unexplained(calls, changes)).toEqual([]);
});

test('enrolments that come and go beside it put nobody out of the mesh', async () => {
  // Who is left alone, if only once, is answered by the pod that has the service's address.
  const { address4: decoy } = mesh.pod('decoy');
  const endpoints = [endpoint(mesh.pod('a'), FIRST_PORT)];
  await mesh.want(
    { name: 's', at: [`${decoy}:80`], endpoints },
    { name: 'u', at: [`${decoy}:80`], protocol: 'udp', endpoints },
  );
  const actions = `[lambda: tcp("${decoy}"), lambda: ask("${decoy}", 80), lambda: sent(kept)]`;
  const code = `${CALLING}
kept = socket.socket(type=socket.SOCK_DGRAM); kept.settimeout(3)
def sent(s): return exchange(s, "${decoy}", 80)
begin(${actions})`;
  for (const client of clients) await client.run(code);
  await changeOften(50, 2000, async () => {
    await mesh.enroll('other');
    await mesh.unenroll('other');
  });
  const answers = new Set<string>();
  for (const client of clients) {
    for (const [, , who] of (await client.run<[number, number, unknown][][]>('out = end()')).flat()) {
      answers.add(typeof who === 'string' ? who : JSON.stringify(who));
    }
  }
  expect([...answers].sort()).toEqual([`a ${FIRST_PORT}`, JSON.stringify({ who: 'a', host: decoy, port: 80 })]);
});

test('calls under load leave no count behind', async () => {
  await mesh.until(() => mesh.active('a') === 0 && mesh.active('b') === 0);
  expect([mesh.active('a'), mesh.active('b')]).toEqual([0, 0]);
});
