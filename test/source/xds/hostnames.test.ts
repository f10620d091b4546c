// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { apply, emptyModel } from '../../../src/mesh/apply.ts';
import type { Change } from '../../../src/mesh/model.ts';
import { finish } from '../../../src/mesh/steps.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import type { Answer } from '../../../src/source/resolve.ts';
import { openHostnames } from '../../../src/source/xds/hostnames.ts';
import { openHandTimers } from '../file/hand-timers.ts';
import { checkWorkload } from './decode-messages.ts';

const base = checkWorkload({ namespace: 'shop' });

function workload(uid: string, fields: Partial<Workload> = {}): Workload {
  if (!base.ok || base.change.kind !== 'put-workload') throw new Error('no workload');
  return { ...base.change.workload, uid, ...fields };
}
const put = (uid: string, fields: Partial<Workload> = {}): Change => ({
  kind: 'put-workload',
  workload: workload(uid, fields),
});
const remove = (uid: string): Change => ({ kind: 'remove-workload', uid });
const settle = () => new Promise((done) => setImmediate(done));

/** Runs the layer in front of a model. Answers: addresses, or why there are none; undefined never comes. */
function open(answers: (hostname: string, call: number) => string[] | string | undefined) {
  const timers = openHandTimers();
  const calls: string[] = [];
  const told: (readonly Change[])[] = [];
  let model = emptyModel;
  const take = (changes: readonly Change[]) => {
    model = apply(model, changes).model;
  };
  const hostnames = openHostnames({
    timers,
    resolver: (hostname) => {
      calls.push(hostname);
      const answer = answers(hostname, calls.filter((c) => c === hostname).length);
      if (answer === undefined) return new Promise<Answer>(() => {});
      return typeof answer === 'string'
        ? Promise.reject(new Error(answer))
        : Promise.resolve({ addresses: answer, ttl: 60 });
    },
    tell: (changes) => {
      told.push(changes);
      take(changes);
    },
  });
  return {
    timers,
    calls,
    told,
    hostnames,
    send(...changes: Change[]) {
      const passed = hostnames.pass(changes, finish(hostnames.concerned(changes)));
      take(passed);
      return passed;
    },
    /** uid -> addresses */
    held: () => Object.fromEntries([...model.workloads.entries()].map(([uid, w]) => [uid, w.addresses.join()])),
  };
}

const named = { hostname: 'db.example.com' };

test('changes that are no business of this layer pass as they are', () => {
  const { hostnames, calls } = open(() => []);
  const changes = [
    put('a', { addresses: ['10.0.0.1'], ...named }),
    remove('b'),
    { kind: 'remove-service', key: 'a/b' } as const,
  ];
  expect(hostnames.pass(changes, finish(hostnames.concerned(changes)))).toBe(changes);
  expect(calls).toEqual([]);
});

test('a workload is told at once, and again with its addresses', async () => {
  const { send, held, told, calls } = open(() => ['10.0.0.1']);
  send(put('a', named), put('b', { addresses: ['10.0.0.9'] }));
  expect(held()).toEqual({ a: '', b: '10.0.0.9' });
  await settle();
  expect(held()).toEqual({ a: '10.0.0.1', b: '10.0.0.9' });
  expect(told).toHaveLength(1);
  expect(calls).toEqual(['db.example.com']);
});

test('a name that is known is not waited for again', async () => {
  const { send, held, calls } = open(() => ['10.0.0.1']);
  send(put('a', named));
  await settle();
  send(put('b', named), put('a', { ...named, node: 'x' }));
  expect(held()).toEqual({ a: '10.0.0.1', b: '10.0.0.1' });
  await settle();
  expect(calls).toHaveLength(1);
});

test('each address of a name is a workload of its own, families in pairs; the first keeps the uid', async () => {
  const { send, held, timers } = open((_, call) =>
    call === 1 ? ['10.0.0.2', '2001:db8::1', '10.0.0.1', '10.0.0.3'] : ['10.0.0.3'],
  );
  send(put('a', named));
  await settle();
  expect(held()).toEqual({ a: '10.0.0.1,2001:db8::1', 'a/10.0.0.2': '10.0.0.2', 'a/10.0.0.3': '10.0.0.3' });
  timers.run(60_000);
  await settle();
  expect(held()).toEqual({ a: '10.0.0.3' });
});

test('goes with all its addresses, and its name is asked for no more', async () => {
  const { send, held, timers } = open(() => ['10.0.0.1', '10.0.0.2']);
  send(put('a', named), put('b', named));
  await settle();
  send(remove('a'));
  expect(held()).toEqual({ b: '10.0.0.1', 'b/10.0.0.2': '10.0.0.2' });
  expect(timers.pending).toBe(1);
  send(remove('b'));
  expect(held()).toEqual({});
  expect(timers.pending).toBe(0);
});

test('forgets the name of a workload that gets addresses or another name', async () => {
  const { send, held, timers, calls } = open((hostname) =>
    hostname === 'other' ? ['10.0.0.7'] : ['10.0.0.1', '10.0.0.2'],
  );
  send(put('a', named), put('b', named));
  await settle();
  send(put('a', { ...named, addresses: ['10.9.9.9'] }), put('b', { hostname: 'other' }));
  expect(held()).toEqual({ a: '10.9.9.9', b: '' });
  expect(timers.pending).toBe(0);
  await settle();
  expect(held()).toEqual({ a: '10.9.9.9', b: '10.0.0.7' });
  expect(calls).toEqual(['db.example.com', 'other']);
});

test('what was known stays while a name cannot be resolved, which is said', async () => {
  const { send, held, timers, told, hostnames } = open((_, call) => (call === 2 ? 'server away' : [`10.0.0.${call}`]));
  send(put('a', named));
  await settle();
  timers.run(60_000);
  await settle();
  expect(held()).toEqual({ a: '10.0.0.1' });
  expect([...hostnames.unresolved()]).toEqual([['db.example.com', 'server away']]);
  expect(told.map((changes) => changes.length)).toEqual([1, 0]);
  timers.run(5000);
  await settle();
  expect(held()).toEqual({ a: '10.0.0.3' });
  expect([...hostnames.unresolved()]).toEqual([]);
});

test('a name that nobody answers for delays no other', async () => {
  const { send, held, hostnames } = open((hostname) =>
    hostname.startsWith('silent') ? undefined : hostname === 'gone' ? 'no such name' : ['10.0.0.1'],
  );
  send(put('s', { hostname: 'silent' }), put('g', { hostname: 'gone' }), put('a', named));
  await settle();
  expect(held()).toEqual({ s: '', g: '', a: '10.0.0.1' });
  expect([...hostnames.unresolved().keys()]).toEqual(['gone']);
  send(remove('g'));
  expect(hostnames.unresolved().size).toBe(0);
});

test('removed and put again in one batch', async () => {
  const { send, held } = open(() => ['10.0.0.1', '10.0.0.2']);
  send(put('a', named));
  await settle();
  send(remove('a'), put('a', { ...named, node: 'n' }));
  expect(held()).toEqual({ a: '10.0.0.1', 'a/10.0.0.2': '10.0.0.2' });
  send(put('a', { ...named, node: 'm' }), remove('a'));
  expect(held()).toEqual({});
});

test('says nothing once closed', async () => {
  const { send, told, hostnames, timers } = open(() => ['10.0.0.1']);
  send(put('a', named));
  hostnames.close();
  await settle();
  expect(told).toEqual([]);
  expect(timers.pending).toBe(0);
});
