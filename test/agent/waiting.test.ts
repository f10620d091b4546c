// SPDX-License-Identifier: Apache-2.0
// Changes that wait: whatever order they are handed out in, they end where all of them in order end, and no service is ever half changed.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openWaiting } from '../../src/agent/waiting.ts';
import type { Ticket } from '../../src/agent/waiting-ledger.ts';
import type { Part } from '../../src/agent/waiting-part.ts';
import { compileAll } from '../../src/compile/compile.ts';
import type { WantedBackend } from '../../src/compile/wanted.ts';
import { isStandIn } from '../../src/compile/waypoint.ts';
import { apply, emptyModel } from '../../src/mesh/apply.ts';
import type { Change, Model } from '../../src/mesh/model.ts';
import { refusedPolicy } from '../../src/mesh/policy.ts';
import { finish } from '../../src/mesh/steps.ts';
import { anyChange } from '../mesh/arbitrary.ts';
import { service, shop, workload } from '../mesh/make.ts';
import { view } from '../support/small-mesh.ts';

type Lane = 'urgent' | 'bulk' | 'all';
interface Asked {
  readonly lane: Lane;
  readonly most: number;
  /** A list that is submitted at this pause. */
  readonly pause: number;
  readonly meanwhile: readonly Change[];
}
/** A list that is submitted, or a part that is asked for. */
type Event = { readonly list: readonly Change[] } | Asked;

const anyEvents: fc.Arbitrary<readonly Event[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ list: fc.array(anyChange, { maxLength: 12 }) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        lane: fc.constantFrom<Lane>('urgent', 'urgent', 'bulk', 'bulk', 'all'),
        most: fc.integer({ min: 1, max: 6 }),
        pause: fc.nat(12),
        meanwhile: fc.array(anyChange, { maxLength: 4 }),
      }),
    },
  ),
  { maxLength: 16 },
);

/** The backends of each service. Those of waypoints follow from what goes through them, which are several services. */
function byService(model: Model): Map<string, Record<string, WantedBackend>> {
  const found = new Map<string, Record<string, WantedBackend>>();
  for (const backend of compileAll(model, view).backends.values()) {
    if (isStandIn(backend.service)) continue;
    found.set(backend.service, { ...found.get(backend.service), [backend.name]: backend });
  }
  return found;
}

const put = (uid: string, fields: Parameters<typeof workload>[1] = {}): Change => ({
  kind: 'put-workload',
  workload: workload(uid, fields),
});
const remove = (uid: string): Change => ({ kind: 'remove-workload', uid });
const inService = (...keys: string[]) => ({ services: new Map(keys.map((key) => [key, []])) });

describe('changes that wait', () => {
  it('end where all of them end in order, every service on the way as some submission left it, everybody told', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        const told = new Set<Ticket>();
        const tickets: Ticket[] = [];
        const waiting = openWaiting((ticket) => told.add(ticket), { mostSmall: 3, aStep: 1, ahead: 2 });
        let model = emptyModel;
        let inOrder = emptyModel;
        const states = [byService(emptyModel)];
        const add = (list: readonly Change[]): void => {
          const ticket = { left: list.length };
          if (list.length > 0) tickets.push(ticket);
          waiting.add(list, ticket);
          inOrder = apply(inOrder, list).model;
          states.push(byService(inOrder));
        };
        const take = ({ lane, most, pause, meanwhile }: Asked): void => {
          const steps = waiting.take(model, lane, most);
          let step = steps.next();
          for (let pauses = 0; !step.done; pauses++) {
            if (pauses === pause) add(meanwhile);
            step = steps.next();
          }
          const part = step.value;
          model = apply(model, part.changes).model;
          for (const [ticket, count] of part.tickets) {
            ticket.left -= count;
            if (ticket.left === 0) told.add(ticket);
          }
          for (const key of new Set(states.flatMap((state) => [...state.keys()]))) {
            const now = byService(model).get(key);
            if (!states.some((state) => isSame(state.get(key), now))) expect.fail(`${key} is half changed`);
          }
        };
        for (const event of events) {
          if ('lane' in event) take(event);
          else add(event.list);
        }
        while (!waiting.empty) take({ lane: waiting.urgent ? 'urgent' : 'bulk', most: 2, pause: -1, meanwhile: [] });
        expect([waiting.urgent, waiting.bulk]).toEqual([false, false]);
        expect(byService(model)).toEqual(byService(inOrder));
        expect(new Map(model.workloads)).toEqual(new Map(inOrder.workloads));
        expect(new Map(model.services)).toEqual(new Map(inOrder.services));
        expect(told.size).toBe(tickets.length);
      }),
      { numRuns: 250 },
    );
  }, 120_000);

  const takeAll = (
    lists: readonly (readonly Change[])[],
    model: Model,
    lane: 'urgent' | 'bulk',
    most: number,
  ): Part[] => {
    const waiting = openWaiting(() => {}, { mostSmall: 2, aStep: 16, ahead: 16 });
    for (const list of lists) waiting.add(list, { left: list.length });
    const parts: Part[] = [];
    for (let held = model; !waiting.empty; ) {
      const part = finish(waiting.take(held, parts.length === 0 ? lane : 'bulk', most));
      held = apply(held, part.changes).model;
      parts.push(part);
    }
    return parts;
  };
  const names = (parts: readonly Part[]) =>
    parts.map(({ changes }) =>
      changes.map((c) => (c.kind === 'put-workload' ? c.workload.uid : 'uid' in c ? c.uid : 's')),
    );

  it('go in parts, one service after the other', () => {
    const two = apply(emptyModel, [put('a1', inService('n/a')), put('b1', inService('n/b'))]).model;
    const list = [put('a2', inService('n/a')), put('b2', inService('n/b')), remove('a1'), remove('b1')];
    expect(names(takeAll([list], two, 'bulk', 1))).toEqual([
      ['a2', 'a1'],
      ['b2', 'b1'],
    ]);
  });

  it('of a short list go first, and take along what belongs to the same service', () => {
    const two = apply(emptyModel, [put('a1', inService('n/a')), put('b1', inService('n/b'))]).model;
    const long = [put('a2', inService('n/a')), put('b2', inService('n/b')), put('b3', inService('n/b'))];
    const [first, second] = names(takeAll([long, [remove('b1')]], two, 'urgent', 1));
    expect(first?.toSorted()).toEqual(['b1', 'b2', 'b3']);
    expect(second).toEqual(['a2']);
  });

  it('are not taken apart where workloads join services, or an address goes from one service to another', () => {
    const model = apply(emptyModel, [put('a1', inService('n/a')), put('b1', inService('n/b'))]).model;
    const swap = [put('a1', inService('n/b')), put('b1', inService('n/a')), put('c', inService('n/c'))];
    expect(names(takeAll([swap], model, 'bulk', 1)).map((part) => part.length)).toEqual([2, 1]);

    const owned = apply(emptyModel, [{ kind: 'put-service', service: service() }]).model;
    const move: Change[] = [
      { kind: 'remove-service', key: shop },
      put('c', inService('n/c')),
      { kind: 'put-service', service: service({ hostname: 'other.shop' }) },
    ];
    const parts = takeAll([move], owned, 'bulk', 1);
    expect(parts.map((part) => part.changes.map((c) => c.kind))).toContainEqual(['remove-service', 'put-service']);
  });

  it('take along the policies that a workload names, which would be closed without them', () => {
    const policies = ['p1', 'p2', 'p3'].map((name): Change => {
      const policy = { ...refusedPolicy({ name, namespace: 'n', scope: 'selector' }, '') };
      return { kind: 'put-policy', policy };
    });
    const named = put('a', { authorizationPolicies: ['n/p1', 'n/p2'] });
    const [p1, p2, p3] = policies as [Change, Change, Change];
    const [first, second] = takeAll([[p1, p2, p3, named]], emptyModel, 'bulk', 1).map(({ changes }) => changes);
    expect(first).toEqual([named, p1, p2]);
    expect(second).toEqual([p3]);
    // Also when the workload overtakes a long list that they are in.
    const waiting = openWaiting(() => {}, { mostSmall: 1, aStep: 1, ahead: 1 });
    waiting.add([p3, p1, p2], { left: 3 });
    waiting.add([named], { left: 1 });
    expect(finish(waiting.take(emptyModel, 'urgent', 1)).changes).toEqual([named, p1, p2]);
  });

  it('wait again when they could not be carried out, but for what was submitted since', () => {
    const waiting = openWaiting(() => {}, { mostSmall: 2, aStep: 16, ahead: 16 });
    waiting.add([put('a'), put('b')], { left: 2 });
    const part = finish(waiting.take(emptyModel, 'all', 1));
    expect(waiting.empty).toBe(true);
    waiting.add([remove('a')], { left: 1 });
    waiting.putBack(part);
    const again = finish(waiting.take(emptyModel, 'all', 1)).changes;
    expect(again.map((c) => c.kind)).toEqual(['remove-workload', 'put-workload']);
  });

  it.each<Lane>(['urgent', 'bulk', 'all'])(
    'are not in a part that was begun before all were forgotten (%s), at whatever pause that was',
    (lane) => {
      for (let pauses = 1; pauses < 40; pauses++) {
        const waiting = openWaiting(() => {}, { mostSmall: 2, aStep: 1, ahead: 2 });
        waiting.add([put('a'), put('b'), put('c'), put('d')], { left: 4 });
        waiting.add([put('a'), put('e')], { left: 2 });
        const taking = waiting.take(emptyModel, lane, 100);
        let step = taking.next();
        for (let i = 1; i < pauses && !step.done; i++) step = taking.next();
        if (step.done) break;
        waiting.clear();
        const later = [put('x'), put('y'), put('z')];
        waiting.add(later, { left: 3 });
        waiting.add([put('v')], { left: 1 });
        const part = finish(taking);
        expect(part.changes.filter((c) => c.kind === 'put-workload' && 'vxyz'.includes(c.workload.uid))).toEqual([]);
        expect(finish(waiting.take(emptyModel, 'all', 1)).changes).toHaveLength(4);
      }
    },
  );
});

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
