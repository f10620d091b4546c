// SPDX-License-Identifier: Apache-2.0
// Whatever a server does and however often streams end: what is held, and what was told in all, is what the server has less what is refused.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Change } from '../../../src/mesh/model.ts';
import type { Session, Taken } from '../../../src/source/xds/session.ts';
import { type Request, type TypeName, typeUrls } from '../../../src/source/xds/types.ts';
import { begin, open, resource, take, texts } from './session-parts.ts';

const types: readonly TypeName[] = ['address', 'authorization'];
const names = ['a', 'b', 'c', 'd', 'e'];
/** Good workloads, good services, and what is refused. */
const flavours = ['w', 's', '!'];

type Step =
  | { readonly kind: 'put'; readonly type: TypeName; readonly name: string; readonly flavour: string }
  | { readonly kind: 'remove'; readonly type: TypeName; readonly name: string }
  | { readonly kind: 'push' | 'answer' | 'cut' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      type: fc.constantFrom(...types),
      name: fc.constantFrom(...names),
      flavour: fc.constantFrom(...flavours),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('remove' as const),
      type: fc.constantFrom(...types),
      name: fc.constantFrom(...names),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('push' as const, 'answer' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const) }) },
);

/** A server in few lines: versions are numbers that never come twice, policies have none. */
function openWorld(maxVersionBytes: number) {
  const session: Session = begin({ maxVersionBytes });
  const store = { address: new Map<string, string>(), authorization: new Map<string, string>() };
  let touched = { address: new Set<string>(), authorization: new Set<string>() };
  let unanswered: Taken[] = [];
  const told: Change[] = [];
  /** Types whose first request has been answered on this stream. */
  let begun: Request[] = [];
  let version = 0;
  let nonce = 0;

  const deliver = (type: TypeName, found: readonly string[], removed: readonly string[]) => {
    const resources = found.map((name) => resource(`${name}@${store[type].get(name)}`, type));
    const given = { typeUrl: typeUrls[type], nonce: `n${++nonce}`, systemVersion: '', resources, removed };
    const taken = take(session, given);
    if (taken.first) expect(told).toEqual([]);
    told.push(...(taken.changes ?? []));
    unanswered.push(taken);
  };
  const cut = () => {
    session.close();
    unanswered = [];
    touched = { address: new Set(), authorization: new Set() };
    begun = [...open(session)];
  };
  const greet = () => {
    for (const { type, initialVersions } of begun.splice(0)) {
      touched[type].clear();
      const kept = initialVersions ?? new Map<string, string>();
      const fresh = [...store[type]].filter(([name, v]) => type === 'authorization' || kept.get(name) !== v);
      deliver(
        type,
        fresh.map(([name]) => name),
        [...kept.keys()].filter((name) => !store[type].has(name)),
      );
    }
  };
  const push = () => {
    greet();
    for (const type of types) {
      const changed = [...touched[type]];
      touched[type].clear();
      if (changed.length === 0) continue;
      deliver(
        type,
        changed.filter((name) => store[type].has(name)),
        changed.filter((name) => !store[type].has(name)),
      );
    }
  };
  /** @returns whether every answer was an ACK exactly when nothing was refused */
  const answer = () => {
    const due = unanswered.splice(0);
    const sent = due.toReversed().flatMap((taken) => (taken.answer ? session.answer(taken.answer) : []));
    expect(sent.map(({ error }) => error !== undefined)).toEqual(due.map(({ refusals }) => refusals.length > 0));
  };
  cut();
  return {
    session,
    store,
    told,
    run(next: Step) {
      if (next.kind === 'put') {
        store[next.type].set(next.name, `${next.flavour}${next.type === 'address' ? ++version : ''}`);
        touched[next.type].add(next.name);
      } else if (next.kind === 'remove') {
        if (store[next.type].delete(next.name)) touched[next.type].add(next.name);
      } else if (next.kind === 'push') push();
      else if (next.kind === 'answer') answer();
      else cut();
    },
    settle() {
      push();
      answer();
    },
  };
}

/** What is there after all that was told. */
function sum(changes: readonly Change[]): string[] {
  const there = new Set<string>();
  for (const text of texts(changes) ?? []) {
    if (text.startsWith('+')) there.add(text.slice(1));
    else there.delete(text.slice(1));
  }
  return [...there].sort();
}

const kindOf = (type: TypeName, v: string) =>
  type === 'authorization' ? 'policy' : v.startsWith('s') ? 'service' : 'workload';

test.each([
  ['with room for all versions', 1e6],
  ['with room for some', 40],
  ['with room for none', 0],
])('any sequence of events, %s', (_name, room) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const world = openWorld(room);
      for (const next of steps) world.run(next);
      world.settle();
      const good: string[] = [];
      const bad: string[] = [];
      for (const type of types) {
        for (const [name, v] of world.store[type]) {
          if (v.startsWith('!')) bad.push(name);
          else good.push(`${kindOf(type, v)} ${name}`);
        }
      }
      const there = sum(world.told);
      const refused = [...world.session.refused];
      // Each good one is there, and nothing else but older versions of refused ones.
      expect(good.filter((text) => !there.includes(text))).toEqual([]);
      const older = there.filter((text) => !good.includes(text));
      expect(older.every((text) => bad.includes(text.split(' ')[1] ?? ''))).toBe(true);
      expect(older.length).toBe(refused.filter(({ kept }) => kept).length);
      expect(refused.map(({ name }) => name).toSorted()).toEqual(bad.toSorted());
      expect(world.session.held).toBe(there.length);
    }),
    { numRuns: 1000 },
  );
});
