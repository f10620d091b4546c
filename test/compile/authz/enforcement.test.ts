// SPDX-License-Identifier: Apache-2.0
// Pods that are judged, by what was enrolled and what the kernel holds of their addresses.
import { expect, test } from 'vitest';
import { enforcedPods } from '../../../src/compile/authz/enforcement.ts';

const at = (ifindex: number, netns = 77) => ({ netns, hostNetns: 1, ifindex });

test('a pod with several links keeps each address at its own, in whatever order they are read', () => {
  const entries = [
    ['10.9.0.1', at(12)],
    ['10.0.0.1', at(9)],
    ['10.0.0.2', at(10, 78)],
    ['fd00::1', at(9)],
  ] as const;
  const enrolments = [
    { workload: '', netns: 77n },
    { workload: 'shop/cart', netns: 77n },
    { workload: 'shop/web', netns: 78n },
  ];
  const expected = [
    {
      workload: 'shop/cart',
      ...at(9),
      addresses: ['10.0.0.1', '10.9.0.1', 'fd00::1'],
      otherwise: new Map([['10.9.0.1', at(12)]]),
    },
    { workload: 'shop/web', ...at(10, 78), addresses: ['10.0.0.2'] },
  ];
  expect(enforcedPods(enrolments, entries)).toEqual(expected);
  expect(enforcedPods(enrolments, [...entries].reverse())).toEqual(expected);
});

test('a pod whose addresses or link nobody knows', () => {
  expect(enforcedPods([{ workload: 'shop/a', netns: 5n }], [])).toEqual([
    { workload: 'shop/a', netns: 5, hostNetns: 0, ifindex: 0, addresses: [] },
  ]);
  const alone = { netns: 5, hostNetns: 0, ifindex: 0 };
  const [pod] = enforcedPods(
    [{ workload: 'shop/a', netns: 5n }],
    [
      ['10.0.0.1', alone],
      ['10.0.0.2', at(3, 5)],
    ],
  );
  expect(pod).toMatchObject({ ...at(3, 5), otherwise: new Map([['10.0.0.1', alone]]) });
});
