// SPDX-License-Identifier: Apache-2.0
// Which addresses of a node count as its own, and how they are followed.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  type HostAddresses,
  hostAddresses,
  type Interfaces,
  openHostAddresses,
} from '../../src/agent/host-addresses.ts';

const of = (...addresses: readonly string[]): Interfaces => ({
  lo: [{ address: '127.0.0.1', internal: true }],
  eth0: addresses.map((address) => ({ address, internal: false })),
});
let told: number;
let now: Interfaces;
let hosts: HostAddresses;

beforeEach(() => {
  vi.useFakeTimers();
  told = 0;
  now = of('10.0.0.1');
  hosts = openHostAddresses({ interfaces: () => now, changed: () => void told++, everyMs: 10 });
});
afterEach(() => {
  hosts.close();
  vi.useRealTimers();
});

test('loopback and link-local addresses are not among them, and all are in canonical text', () => {
  const all = hostAddresses(of('192.0.2.1', 'fe80::1', 'febf::1', 'fec0::1', '2001:DB8:0::1', '::ffff:192.0.2.2'));
  expect([...all]).toEqual(['192.0.2.1', 'fec0::1', '2001:db8::1', '192.0.2.2']);
});

test('they are told when they differ, only while somebody needs them', () => {
  vi.advanceTimersByTime(100);
  const first = hosts.look();
  expect([...first]).toEqual(['10.0.0.1']);
  vi.advanceTimersByTime(100);
  expect(hosts.look()).toBe(first);
  expect(told).toBe(0);
  now = of('10.0.0.1', '10.0.0.2');
  vi.advanceTimersByTime(10);
  expect(told).toBe(1);
  expect(hosts.look().size).toBe(2);
  now = of('10.0.0.2');
  expect([...hosts.look()]).toEqual(['10.0.0.2']);
  hosts.rest();
  now = of('10.0.0.3');
  vi.advanceTimersByTime(100);
  expect(told).toBe(1);
});
