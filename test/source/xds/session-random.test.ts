// SPDX-License-Identifier: Apache-2.0
// Whatever a server does and however often streams end: what is held, and what was told in all, is what the server has less what is refused.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Change } from '../../../src/mesh/model.ts';
import type { Session, Taken } from '../../../src/source/xds/session.ts';
import { type Request, type TypeName, typeUrls } from '../../../src/source/xds/types.ts';
import { begin, done, node, open, refusedOf, resource, take, texts } from './session-parts.ts';

const types: readonly TypeName[] = ['address', 'authorization'];
const names = ['a', 'b', 'c', 'd', 'e'];
/** Good workloads, good services, and what is refused. */
const flavours = ['w', 's', '!'];

type Step =
  | { readonly kind: 'put'; readonly type: TypeName; readonly name: string; readonly flavour: string }
  | { readonly kind: 'remove'; readonly type: TypeName; readonly name: string }
  | { readonly kind: 'push' | 'answer' | 'cut' | 'quiet' | 'fail' | 'half' };

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
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('cut' as const, 'quiet' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('fail' as const, 'half' as const) }) },
);

/** A server in few lines: versions are numbers that never come twice, policies have none. */
function openWorld(maxVersionBytes: number) {
  const session: Session = begin({ maxRequestBytes: 2 * JSON.stringify(node).length + maxVersionBytes });
  const store = { address: new Map<string, string>(), authorization: new Map<string, string>() };
  let touched = { address: new Set<string>(), authorization: new Set<string>() };
  let unanswered: Taken[] = [];
  const told: Change[] = [];
  /** Types whose first request has been answered on this stream. */
  let begun: Request[] = [];
  let version = 0;
  let nonce = 0;

  /** What becomes of the next that is to be told: it is not taken up, or in part. The stream is over then. */
  let failure: 'fail' | 'half' | undefined;
  let broken = false;
  /** Names of what was not taken up: when the next version is refused, nobody knows whether there is an older one. */
  const uncertain = new Set<string>();

  const tell = (taken: Taken) => {
    if (taken.first) expect(told).toEqual([]);
    const { changes } = taken;
    if (changes === undefined) return;
    if (failure === undefined) told.push(...changes);
    else {
      if (failure === 'half' && !taken.first) told.push(...changes.filter((_, i) => i % 2 === 0));
      session.lose(taken);
      for (const name of [...(taken.effect?.put ?? []), ...(taken.effect?.removed ?? [])]) uncertain.add(name);
      failure = undefined;
      broken = true;
    }
  };
  const respond = (type: TypeName, found: readonly string[], removed: readonly string[]) => {
    if (broken) return;
    const resources = found.map((name) => resource(`${name}@${store[type].get(name)}`, type));
    const taken = take(session, {
      typeUrl: typeUrls[type],
      nonce: `n${++nonce}`,
      systemVersion: '',
      resources,
      removed,
    });
    tell(taken);
    unanswered.push(taken);
  };
  /** In two responses, now and then. */
  const deliver = (type: TypeName, found: readonly string[], removed: readonly string[]) => {
    const half = nonce % 2 === 0 ? found.length : found.length >> 1;
    respond(type, found.slice(0, half), removed);
    if (half < found.length) respond(type, found.slice(half), []);
  };
  const quiet = () => {
    for (const type of session.unsettled) if (!broken) tell(done(session.settle(type)));
    mend();
  };
  const mend = () => {
    if (broken) cut();
  };
  const cut = () => {
    session.close();
    broken = false;
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
    mend();
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
    uncertain,
    run(next: Step) {
      if (next.kind === 'put') {
        store[next.type].set(next.name, `${next.flavour}${next.type === 'address' ? ++version : ''}`);
        touched[next.type].add(next.name);
      } else if (next.kind === 'remove') {
        if (store[next.type].delete(next.name)) touched[next.type].add(next.name);
      } else if (next.kind === 'push') push();
      else if (next.kind === 'answer') answer();
      else if (next.kind === 'cut') cut();
      else if (next.kind === 'quiet') quiet();
      else failure = next.kind;
    },
    settle() {
      failure = undefined;
      push();
      answer();
      quiet();
    },
  };
}

/** What is there after all that was told, and of it the policies that only close. */
function sum(changes: readonly Change[]): { there: string[]; closing: string[] } {
  const there = new Map<string, boolean>();
  for (const text of texts(changes) ?? []) {
    const [, sign, key = '', mark] = /^([+-])(\S+ \S+)(?: (\S+))?$/.exec(text) ?? [];
    if (sign === '+') there.set(key, mark === 'closes');
    else there.delete(key);
  }
  return {
    there: [...there.keys()].sort(),
    closing: [...there].flatMap(([key, closes]) => (closes ? key : [])),
  };
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
      const { there, closing } = sum(world.told);
      const refused = refusedOf(world.session);
      // Each good one is there, and nothing else but older versions of refused ones.
      expect(good.filter((text) => !there.includes(text))).toEqual([]);
      const older = there.filter((text) => !good.includes(text));
      expect(older.every((text) => bad.includes(text.split(' ')[1] ?? ''))).toBe(true);
      const sure = bad.every((name) => !world.uncertain.has(name));
      if (sure) expect(older.length).toBe(refused.filter(({ kept }) => kept).length + closing.length);
      // A bad policy is never just left out.
      const badPolicies = [...world.store.authorization].flatMap(([name, v]) => (v.startsWith('!') ? name : []));
      expect(badPolicies.filter((name) => !there.includes(`policy ${name}`))).toEqual([]);
      expect(refused.map(({ name }) => name).toSorted()).toEqual(bad.toSorted());
      if (sure) expect(world.session.held).toBe(there.length - closing.length);
      expect(closing.every((text) => bad.includes(text.split(' ')[1] ?? ''))).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
