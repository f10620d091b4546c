// SPDX-License-Identifier: Apache-2.0
// Which cgroup a command line means, and what is said of one that is none.
import { expect, test } from 'vitest';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { cgroupOfProcess, resolveCgroup, resolveCgroupRoot } from '../../src/tasks/cgroup-path.ts';

const place = (cgroupRoot: string) => ({ bpffs: '/b', runDir: '/r', cgroupRoot });

function thrown(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return undefined;
}

test('a cgroup root that is not there, or is something else', () => {
  const hint = `make a folder in the cgroup2 mount, ${cgroupMount()}, and give that`;
  expect(thrown(() => resolveCgroupRoot(place('/nowhere')))).toMatchObject({
    code: 'KM_CGROUP',
    message: 'cgroup root "/nowhere" does not exist',
    hint,
  });
  expect(thrown(() => resolveCgroupRoot(place('/tmp')))).toMatchObject({
    message: 'cgroup root "/tmp" is not a cgroup2 directory',
    hint,
  });
});

test('a cgroup that is not there names the places that were looked at', () => {
  expect(thrown(() => resolveCgroup(place(''), { cgroup: 'no-such-cgroup' }))).toMatchObject({
    message: 'cgroup "no-such-cgroup" does not exist',
    hint: `looked at ${cgroupMount()}/no-such-cgroup; cgroups are folders below ${cgroupMount()}`,
  });
});

test('the cgroup of a process is a path without a slash at its end', () => {
  expect(cgroupOfProcess(process.pid)).toMatch(/^\/.*[^/]$/);
  expect(thrown(() => cgroupOfProcess(2 ** 31 - 1))).toMatchObject({ code: 'KM_NOT_FOUND' });
});
