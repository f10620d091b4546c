// SPDX-License-Identifier: Apache-2.0
// What is read from /proc, and names of errors.
import { expect, test } from 'vitest';
import { maps } from '../../src/abi/maps.ts';
import { cgroupMountOf } from '../../src/kernel/cgroup.ts';
import { mountedNetns } from '../../src/kernel/find-netns.ts';
import { errnoName, mapError } from '../../src/kernel/map-error.ts';
import { capabilitiesOf } from '../../src/kernel/probe.ts';
import { defaultSizes, isSizable, sizeFlag } from '../../src/kernel/sizes.ts';

test.each([
  ['cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n', '/sys/fs/cgroup'],
  ['tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0', '/sys/fs/cgroup/unified'],
  ['none /run/a/longer/path cgroup2 rw 0 0\nnone /sys/fs/cgroup cgroup2 rw 0 0', '/sys/fs/cgroup'],
  ['none /mnt/a\\040b cgroup2 rw 0 0', '/mnt/a b'],
  ['cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0', undefined],
  ['', undefined],
])('the cgroup2 mount in %j', (mounts, expected) => {
  expect(cgroupMountOf(mounts)).toBe(expected);
});

test('network namespaces that are mounted somewhere', () => {
  const text = `
36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw
441 30 0:4 net:[4026532290] /run/netns/pod1 rw shared:241 - nsfs nsfs rw
442 30 0:4 mnt:[4026532291] /run/other rw shared:242 - nsfs nsfs rw
443 30 0:4 net:[4026532292] /run/a\\040b rw - nsfs nsfs rw
`;
  expect([...mountedNetns(text)]).toEqual([
    [4026532290n, '/run/netns/pod1'],
    [4026532292n, '/run/a b'],
  ]);
});

test('capabilities by their bits', () => {
  const held = (status: string) => capabilitiesOf(status).flatMap((c) => (c.held ? [c.name] : []));
  expect(held('Name:\tx\nCapEff:\t000001ffffffffff\n')).toHaveLength(5);
  expect(held('CapEff:\t0000000000001004\n')).toEqual(['CAP_NET_ADMIN', 'CAP_DAC_READ_SEARCH']);
  expect(held('CapEff:\t0000008000000000\n')).toEqual(['CAP_BPF']);
  expect(held('')).toEqual([]);
});

test('errno by its usual name', () => {
  expect([1, 2, 11, 28, 95, 524, 999].map(errnoName)).toEqual([
    'EPERM',
    'ENOENT',
    'EAGAIN',
    'ENOSPC',
    'EOPNOTSUPP',
    'ENOTSUPP',
    'errno 999',
  ]);
});

test('only updates can find a map full', () => {
  const fault = { map: 'name', operation: 'lookup', errno: 'E2BIG', maxEntries: 5 } as const;
  expect(mapError(fault)).toMatchObject({ code: 'KM_MAP', message: 'map "name": lookup failed: E2BIG' });
  expect(mapError({ ...fault, operation: 'update' })).toMatchObject({ code: 'KM_MAP_FULL' });
});

test('every map has a size, and those that can be chosen an option', () => {
  expect(Object.keys(defaultSizes).sort()).toEqual(Object.keys(maps).sort());
  for (const name of Object.keys(maps) as (keyof typeof maps)[]) {
    expect(sizeFlag(name) !== undefined).toBe(isSizable(name));
  }
});
