// SPDX-License-Identifier: Apache-2.0
// The contract, in memory; test/kernel/contract.test.ts runs the same on the kernel.
import { expect, test } from 'vitest';
import { openMemory } from '../../src/kernel/memory.ts';
import { contractSizes, describeContract } from '../support/contract.ts';

describeContract('in memory', () => ({ dataPlane: openMemory(contractSizes), close() {} }));

test('a fault on order comes once, after as many entries as asked', () => {
  const plane = openMemory();
  plane.failNext('backend', 'ENOMEM', 1);
  const put = () =>
    plane.map('backend').put([
      [1, { first: 1, generation: 1 }],
      [2, { first: 2, generation: 1 }],
    ]);
  expect(put).toThrow('map "backend": update failed after 1 of 2: ENOMEM');
  expect(plane.map('backend').count()).toBe(1);
  put();
  expect(plane.map('backend').count()).toBe(2);
});

test('sockets, sweeps and hooks are what the test says', async () => {
  const plane = openMemory();
  const record = { cookie: 1n, workload_id: 2, flags: 3, backend_id: 4, peer_workload_id: 5, service_id: 6 };
  plane.setSockets([record]);
  plane.setSweep(3);
  expect(plane.sockets()).toEqual([record]);
  expect(plane.sweepUdp()).toBe(3);
  expect(plane.udpHooks).toBe(false);
  plane.setUdpHooks(true);
  expect(plane.udpHooks).toBe(true);
  await plane.grace();
  expect([plane.graces, plane.sweeps]).toEqual([1, 1]);
});

test('what is judged, and what of it is denied, is what the test says', () => {
  const plane = openMemory();
  const denial = {
    time_ns: 1n,
    source: '10.0.0.1',
    destination: '10.0.0.2',
    source_port: 1,
    destination_port: 80,
    protocol: 6,
    why: 0,
    flags: 0,
    policy: 1,
    dry_policy: 0,
    identity: 2,
    lost: 0,
  };
  plane.setRecheck((netns) => [{ ...denial, source_port: Number(netns) }]);
  const wanted = new Map([
    [1n, 100n],
    [2n, 100n],
    [3n, 101n],
  ]);
  expect(plane.keepEnforced(wanted)).toMatchObject({ attached: 2, removed: 0 });
  expect([...plane.enforced().keys()]).toEqual([100n, 101n]);
  expect(plane.recheck([100n, 999n])).toEqual([{ ...denial, source_port: 100 }]);
  plane.setDenied([101n]);
  expect([...plane.denied()]).toEqual([101n]);
  wanted.delete(3n);
  expect(plane.keepEnforced(wanted)).toMatchObject({ attached: 0, removed: 1 });
  plane.deny(denial);
  expect([plane.denials(), plane.denials()]).toEqual([[denial], []]);
});
