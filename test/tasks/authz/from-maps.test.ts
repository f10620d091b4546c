// SPDX-License-Identifier: Apache-2.0
// Verdicts and explanations from the maps are those from the compiled sets that were written there.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressTag } from '../../../src/abi/hash.ts';
import { identityHost, settingFlag, stackFlag } from '../../../src/abi/structs.ts';
import { type Explanation, explain, explainAsked } from '../../../src/compile/authz/explain.ts';
import { askedFromMaps, heldSource, heldStack } from '../../../src/compile/authz/from-maps.ts';
import type { Stack, Verdict } from '../../../src/compile/authz/judge.ts';
import { type MemoryDataPlane, openMemory } from '../../../src/kernel/memory.ts';
import { principalOf } from '../../../src/mesh/identity.ts';
import { judgeHeld } from '../../../src/tasks/authz/held.ts';
import { stackOf } from '../../compile/authz/judged.ts';
import { connection, policies } from '../../support/authz-arbitrary.ts';
import { numbered, writeAuthz } from '../../support/authz-maps.ts';

/** An explanation with policies by their ids. */
function numberedBy<P>({ judgement, nearest, policies: all }: Explanation<P>, idOf: (policy: P) => number) {
  const verdict = ({ allowed, why, by }: Verdict<P>) => ({ allowed, why, by: by && [idOf(by.policy), by.rule] });
  return {
    verdict: verdict(judgement),
    dryRun: judgement.dryRun && verdict(judgement.dryRun),
    nearest: nearest.map(({ policy, rule, because }) => [idOf(policy), rule, because.join()]),
    policies: all.map(idOf).sort(),
  };
}

test('random policies and connections', () => {
  fc.assert(
    fc.property(policies(), fc.array(connection, { minLength: 5, maxLength: 20 }), (list, connections) => {
      const plane = openMemory();
      const stacks = new Map<string, Stack>();
      for (const { destination } of connections) {
        if (!stacks.has(destination)) stacks.set(destination, stackOf(list, destination));
      }
      const ids = numbered(connections.flatMap(({ identity }) => identity ?? []));
      const written = writeAuthz(plane, stacks, ids);
      for (const { identity, source, destination, port } of connections) {
        const id = identity === undefined ? 0 : (ids.get(principalOf(identity))?.[0] ?? 0);
        plane.map('authz_source').delete([source]);
        if (id !== 0) plane.map('authz_source').put([[source, { identity: id, tag: addressTag(source) }]]);
        expect(heldSource(plane, source)).toBe(id);
        const stack = heldStack(plane, destination);
        if (stack === undefined) return expect.unreachable();
        const got = explainAsked(askedFromMaps(plane, stack, { identity: id, source, port }), stack);
        const want = explain(stacks.get(destination) as Stack, { identity, source, port });
        expect(numberedBy(got, (held) => held)).toEqual(numberedBy(want, written.policy));
      }
    }),
    { numRuns: 150 },
  );
});

const at = { source: '10.0.0.1', destination: '10.0.0.9', port: 80 };

function judged(): MemoryDataPlane {
  const plane = openMemory();
  plane.map('pod_address').put([[at.destination, { netns: 7, host_netns: 0, ifindex: 0, flags: 0 }]]);
  plane.keepEnforced(new Map([[1n, 7n]]));
  return plane;
}

test('what is said before any policy is asked', () => {
  expect(judgeHeld(openMemory(), at)).toMatchObject({ verdict: 'allow', because: 'not-judged' });
  const plane = judged();
  expect(judgeHeld(plane, at)).toMatchObject({ verdict: 'deny', because: 'pending' });
  writeAuthz(plane, new Map([[at.destination, stackOf([], at.destination)]]), new Map());
  const none = { verdict: 'allow', because: 'policies', told: { why: 'no-allow-policy', nearest: [] } };
  expect(judgeHeld(plane, at)).toMatchObject(none);
  expect(judgeHeld(plane, { ...at, source: '127.0.0.1' })).toMatchObject({ verdict: 'allow', because: 'own' });
  plane.map('authz_source').put([[at.source, { identity: identityHost, tag: addressTag(at.source) }]]);
  expect(judgeHeld(plane, at)).toMatchObject({ verdict: 'allow', because: 'host' });
  plane
    .map('authz_stack')
    .put([[1, { generation: 1, count: 0, flags: stackFlag.closed | stackFlag.allows, sets: [] }]]);
  expect(judgeHeld(plane, { ...at, source: '10.0.0.2' })).toMatchObject({ verdict: 'deny', because: 'closed' });
});

test('on demand a source that nobody was asked of is refused where policies ask who it is', () => {
  const plane = judged();
  const some = fc
    .sample(policies(8), { numRuns: 200, seed: 1 })
    .find((list) => stackOf(list, at.destination).sets.some(({ set }) => set.identity.used));
  if (some === undefined) return expect.unreachable();
  writeAuthz(plane, new Map([[at.destination, stackOf(some, at.destination)]]), new Map());
  plane.map('setting').put([[0, { abi_version: 1, flags: settingFlag.onDemand, ports: 0n }]]);
  expect(judgeHeld(plane, at)).toMatchObject({ verdict: 'deny', because: 'unknown-source' });
});
