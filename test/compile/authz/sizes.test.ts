// SPDX-License-Identifier: Apache-2.0
// Large sets: what they take to write, and that their verdicts are right.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judge, type Stack } from '../../../src/compile/authz/judge.ts';
import { openRangeLookup, rangeEntries } from '../../../src/compile/authz/ranges.ts';
import { emptyBits, openVectorPool, setBit, wordOf } from '../../../src/compile/authz/vector.ts';
import { conjunctionCount, conjunctionsOf } from '../../../src/mesh/conjunction.ts';
import type { Identity } from '../../../src/mesh/identity.ts';
import { emptyMatch, type Policy, policyKey } from '../../../src/mesh/policy.ts';
import { addressBytes } from '../../../src/net/address.ts';
import { cidrContains, cidrText, parseCidr } from '../../../src/net/cidr.ts';
import { policy } from '../../support/authz-arbitrary.ts';
import { referenceVerdict } from '../../support/authz-reference.ts';
import { stackOf } from './judged.ts';

const account = (i: number): Identity => ({
  trustDomain: 'cluster.local',
  namespace: `n${i % 40}`,
  serviceAccount: `a${i}`,
});
const exact = ({ trustDomain, namespace, serviceAccount }: Identity) =>
  [{ kind: 'exact', value: `${trustDomain}/ns/${namespace}/sa/${serviceAccount}` }] as const;

/** 64-bit words of all vectors with their two masks. */
const wordsIn = (stack: Stack) =>
  stack.sets.flatMap(({ set }) => set.vectors).reduce((sum, { words }) => sum + 2 + words.length / 2, 0);

test('1,000 policies on one workload', () => {
  const policies = Array.from(
    { length: 1000 },
    (_, i): Policy => ({
      name: `p${i}`,
      namespace: 'shop',
      scope: 'namespace',
      action: i % 3 === 0 ? 'deny' : 'allow',
      dryRun: false,
      rules: [
        [
          [{ ...emptyMatch, destinationPorts: [8000 + (i % 50)] }],
          [
            { ...emptyMatch, principals: exact(account(i)) },
            { ...emptyMatch, sourceIps: [{ address: `10.${i % 200}.0.0`, length: 16 }] },
          ],
        ],
      ],
    }),
  );
  const stack = stackOf(policies, '10.0.0.9');
  expect(stack.sets.length).toBe(1);
  const identities = Array.from({ length: 1500 }, (_, i) => account(i));
  const { set } = stack.sets[0] as Stack['sets'][number];
  expect(identities.filter((one) => set.identityVector(one) !== set.identity.base).length).toBe(1000);
  // A vector each of 1,000 identities, 200 ranges and 50 ports, most of which differ from the usual one in a word or two.
  expect(wordsIn(stack)).toBeLessThan(6000);
  for (let i = 0; i < 100; i++) {
    const question = { identity: account(i * 7), source: `10.${i % 256}.3.4`, port: 8000 + ((i * 3) % 60) };
    const want = referenceVerdict(policies, { ...question, destination: '10.0.0.9' });
    const got = judge(stack, question);
    expect([got.allowed, got.why]).toEqual([want.allowed, want.why]);
    if (got.by) expect(want.by).toContain(`${policyKey(got.by.policy)}#${got.by.rule}`);
  }
});

test('10,000 ranges in one policy, an entry each', () => {
  const ranges = Array.from({ length: 10_000 }, (_, i) => ({
    address: `20.${i >> 8}.${i & 255}.0`,
    length: 20 + (i % 13),
  }));
  const rules: Policy['rules'] = [[ranges.map((range) => ({ ...emptyMatch, sourceIps: [range] }))]];
  const big: Policy = { name: 'p', namespace: 'shop', scope: 'global', action: 'deny', rules, dryRun: false };
  const stack = stackOf([big], '10.0.0.9');
  const { set } = stack.sets[0] as Stack['sets'][number];
  expect(set.members.filter((m) => m !== undefined).length).toBe(1);
  // Ranges with host bits are the same as those without.
  const different = new Set(ranges.map((r) => cidrText(r.address, r.length))).size;
  expect([set.source.entries.length, set.vectors.length]).toEqual([different, 3]);
  for (let i = 0; i < 60; i++) {
    const question = { identity: undefined, source: `20.${i & 63}.${(i * 31) & 255}.${(i * 17) & 255}`, port: 80 };
    const want = referenceVerdict([big], { ...question, destination: '10.0.0.9' });
    expect(judge(stack, question).allowed).toBe(want.allowed);
  }
});

const v4 = fc.tuple(fc.constantFrom(10, 11, 138), fc.nat(3), fc.nat(3), fc.nat(255)).map((parts) => parts.join('.'));
const v6 = fc.tuple(fc.constantFrom('', '2001:db8', 'fe80'), fc.nat(3)).map(([head, tail]) => `${head}::${tail}`);
const range = fc.oneof(
  fc.tuple(v4, fc.nat(32)).map(([address, length]) => cidrText(address, length)),
  fc.tuple(v6, fc.nat(128)).map(([address, length]) => cidrText(address, length)),
);

test('the longest match of an address tells every range around it, and no other', () => {
  fc.assert(
    fc.property(fc.uniqueArray(range, { maxLength: 30 }), fc.oneof(v4, v6), (texts, address) => {
      const lookup = openRangeLookup(rangeEntries(texts).map((entry) => ({ ...entry, value: entry.chain })));
      const around = texts.filter((text) => {
        const parsed = parseCidr(text);
        return parsed ? cidrContains(parsed, address) : text === address;
      });
      expect([...(lookup.find(addressBytes(address)) ?? [])].sort()).toEqual(around.sort());
    }),
    { numRuns: 3000 },
  );
});

test('a vector gives back every word', () => {
  const bits = fc.uint32Array({ minLength: 128, maxLength: 128, max: 1 });
  fc.assert(
    fc.property(bits, bits, (a, b) => {
      const pool = openVectorPool();
      const vector = pool.vectors[pool.add(a, b)];
      for (let word = 0; word < 64; word++) {
        const want = [a[2 * word], a[2 * word + 1]];
        expect(vector && wordOf(vector, b, word)).toEqual(want);
        const low = vector?.summary[word >>> 5] as number;
        expect((low & (1 << (word & 31))) !== 0).toBe(want.some((half) => half !== 0));
      }
      expect(pool.add(a.slice(), b)).toBe(0);
    }),
    { numRuns: 100 },
  );
  const one = emptyBits(1);
  setBit(one, 63, true);
  expect([...one]).toEqual([0, 0x80000000]);
  setBit(one, 63, false);
  expect([...one]).toEqual([0, 0]);
});

test('conjunctions are counted as they are made', () => {
  fc.assert(
    fc.property(policy, (of) => {
      expect(conjunctionCount(of)).toBe(conjunctionsOf(of)?.flat().length);
    }),
    { numRuns: 2000 },
  );
});
