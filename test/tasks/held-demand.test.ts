// SPDX-License-Identifier: Apache-2.0
// What explain says of addresses that are not known yet, on demand.
import { expect, test } from 'vitest';
import { missState, settingFlag } from '../../src/abi/structs.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import type { HeldClient } from '../../src/tasks/held/client.ts';
import { explainByKernel } from '../../src/tasks/held/explain.ts';

const client: HeldClient = {
  ...{ cgroup: '/c', cgroupId: 7n, enrolled: true, workloadId: 1, workload: 'client', namespaceId: 0, namespace: '' },
  ...{ address4: '10.0.0.9', address6: 'fd00::9', waypoint: false },
};
const { onDemand, missRefuse } = settingFlag;

function explained(address: string, flags: number, who: HeldClient | undefined = client) {
  const plane = openMemory();
  plane.map('setting').put([[0, { abi_version: 1, flags, ports: 0n }]]);
  plane.map('miss').put([
    ['10.0.0.1', { since_ns: 1n, state: missState.asked }],
    ['10.0.0.2', { since_ns: 1n, state: missState.answered }],
  ]);
  const { outcome, why } = explainByKernel(plane, who, { protocol: 'tcp', address, port: 80 }, 0n);
  return `${outcome}: ${why}`;
}

const unknown = 'left-alone: no frontend: the mesh does not know this destination';

test.each([
  ['10.0.0.1', 'the address is being asked for'],
  ['10.0.0.3', 'the address was not asked for yet'],
  ['fd00::3', 'the address was not asked for yet'],
])('%s: %s', (address, what) => {
  expect(explained(address, onDemand)).toBe(`left-alone: ${what}: left alone until the answer is there`);
  expect(explained(address, onDemand | missRefuse)).toBe(`refused: ${what}: refused until the answer is there`);
  expect(explained(address, onDemand | missRefuse, undefined)).toContain(what);
  expect(explained(address, 0)).toBe(unknown);
  expect(explained(address, onDemand | missRefuse, { ...client, enrolled: false })).toBe(unknown);
});

test.each([
  ...['10.0.0.2', '10.0.0.9', 'fd00::9', '0.0.0.0', '0.1.2.3', '127.0.0.1', '127.255.0.1', '169.254.0.1', '224.0.0.1'],
  ...['239.255.255.255', '255.255.255.255', '::', '::1', 'fe80::1', 'febf::1', 'ff00::1', 'ff02::1'],
])('%s is not asked for', (address) => {
  expect(explained(address, onDemand | missRefuse)).toBe(unknown);
});

test.each([
  '169.253.0.1',
  '169.255.0.1',
  '223.255.255.255',
  '240.0.0.1',
  '255.255.255.254',
  '::2',
  'fec0::1',
  'fe7f::1',
])('%s is asked for', (address) => {
  expect(explained(address, onDemand)).toContain('not asked for yet');
});
