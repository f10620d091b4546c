// SPDX-License-Identifier: Apache-2.0
// apply: indexes stay true, equal values touch nothing, batches equal single steps.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { apply, emptyModel } from '../../src/mesh/apply.ts';
import type { Change, Model } from '../../src/mesh/model.ts';
import { addressText } from '../../src/mesh/service.ts';
import { anyBatches } from './arbitrary.ts';
import { model, port, service, shop, workload } from './make.ts';

const put = (...workloads: ReturnType<typeof workload>[]): Change[] =>
  workloads.map((w) => ({ kind: 'put-workload', workload: w }));

/** The indexes of a model, made anew from its workloads and services. */
function indexes(m: Model): Record<string, Record<string, readonly string[]>> {
  const made = { members: new Map(), owners: new Map() } as Record<string, Map<string, Set<string>>>;
  const add = (index: string, key: string, value: string) => {
    const table = made[index] as Map<string, Set<string>>;
    table.set(key, (table.get(key) ?? new Set()).add(value));
  };
  for (const [uid, w] of m.workloads) {
    for (const key of w.services.keys()) add('members', key, uid);
  }
  for (const [key, s] of m.services) for (const a of s.addresses) add('owners', addressText(a), key);
  return Object.fromEntries(Object.entries(made).map(([name, table]) => [name, plain(table)]));
}

function plain(table: Iterable<[string, Iterable<string>]>): Record<string, readonly string[]> {
  return Object.fromEntries([...table].map(([key, bag]) => [key, [...bag].sort()]));
}

/** A table as a plain value in which order means nothing. */
const unordered = (table: ReadonlyMap<string, unknown>) =>
  new Map([...table].sort().map(([key, value]) => [key, Array.isArray(value) ? [...value].sort() : value]));

describe('apply', () => {
  test('keeps every index true through any sequence, and says what it touched', () => {
    fc.assert(
      fc.property(anyBatches, (batches) => {
        let held = emptyModel;
        for (const batch of batches) {
          const { model: next, touched } = apply(held, batch);
          const truth = indexes(next);
          expect(plain(next.members)).toEqual(truth.members);
          expect(plain(next.owners)).toEqual(truth.owners);
          for (const key of new Set([...held.services.keys(), ...next.services.keys()])) {
            if (held.services.get(key) !== next.services.get(key)) expect(touched.services).toContain(key);
          }
          for (const uid of new Set([...held.workloads.keys(), ...next.workloads.keys()])) {
            const [before, after] = [held.workloads.get(uid), next.workloads.get(uid)];
            if (before === after) continue;
            expect(touched.workloads).toContain(uid);
            for (const w of [before, after])
              for (const key of w?.services.keys() ?? []) expect(touched.services).toContain(key);
          }
          held = next;
        }
      }),
    );
  });

  test('a batch ends where its changes one by one end', () => {
    fc.assert(
      fc.property(anyBatches, (batches) => {
        const changes = batches.flat();
        const once = apply(emptyModel, changes).model;
        const steps = changes.reduce((m, change) => apply(m, [change]).model, emptyModel);
        expect(unordered(once.workloads)).toEqual(unordered(steps.workloads));
        expect(unordered(once.services)).toEqual(unordered(steps.services));
        expect(unordered(once.members)).toEqual(unordered(steps.members));
        expect(unordered(once.owners)).toEqual(unordered(steps.owners));
      }),
    );
  });

  test('an earlier model never changes', () => {
    const before = model([service()], [workload('w1')]);
    apply(before, [...put(workload('w2', { addresses: ['10.0.0.2'] })), { kind: 'remove-workload', uid: 'w1' }]);
    expect([...before.workloads.keys()]).toEqual(['w1']);
    expect(plain(before.members)).toEqual({ [shop]: ['w1'] });
    expect(plain(emptyModel.members)).toEqual({});
  });

  test('saying the same again touches nothing and returns the same model', () => {
    const make = () => service({ ports: [port(80, { name: 'http' })], locality: { distribute: [], failover: [] } });
    const before = model([make()], [workload('w1')]);
    const { model: after, touched } = apply(before, [{ kind: 'put-service', service: make() }, ...put(workload('w1'))]);
    expect(after).toBe(before);
    expect([touched.services.size, touched.addresses.size, touched.workloads.size]).toEqual([0, 0, 0]);
  });

  test.each<Change>([
    { kind: 'remove-workload', uid: 'nobody' },
    { kind: 'remove-service', key: 'no/body' },
  ])('$kind of something unknown touches nothing', (change) => {
    expect(apply(emptyModel, [change]).model).toBe(emptyModel);
  });

  test('a workload before its service waits in members', () => {
    const { model: staged, touched } = apply(emptyModel, put(workload('w1')));
    expect(staged.services.size).toBe(0);
    expect(plain(staged.members)).toEqual({ [shop]: ['w1'] });
    expect([...touched.services]).toEqual([shop]);
  });

  test('moving an address touches the old and the new one', () => {
    const before = model([service()]);
    const moved = service({ addresses: [{ network: '', address: '10.97.3.4', length: 16 }] });
    const { model: after, touched } = apply(before, [{ kind: 'put-service', service: moved }]);
    expect([...touched.addresses].sort()).toEqual(['10.96.0.1', '10.97.0.0/16']);
    expect([...after.owners.keys()]).toEqual(['10.97.0.0/16']);
  });

  test.each<[string, Parameters<typeof workload>[1]]>([
    ['weight', { capacity: 2 }],
    [
      'optional field',
      { networkGateway: { destination: { kind: 'hostname', namespace: 'x', hostname: 'y' }, hboneMtlsPort: 1 } },
    ],
    ['map', { services: new Map([[shop, [{ servicePort: 80, targetPort: 81 }]]]) }],
    ['list', { addresses: ['10.0.0.1', '10.0.0.2'] }],
    ['nested', { locality: { region: 'r', zone: '', subzone: '' } }],
  ])('a different %s is noticed', (_, fields) => {
    const before = model([], [workload('w1')]);
    const { touched } = apply(before, put(workload('w1', fields)));
    expect([...touched.workloads]).toEqual(['w1']);
  });
});
