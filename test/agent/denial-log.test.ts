// SPDX-License-Identifier: Apache-2.0
// What the log says of denied connections, and how much of it.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { reasons } from '../../src/abi/reasons.ts';
import { denialFlag, identityHost, memberPolicyBits } from '../../src/abi/structs.ts';
import { type DenialLog, openDenialLog } from '../../src/agent/denial-log.ts';
import { openLog } from '../../src/agent/log.ts';
import type { Denial } from '../../src/kernel/dataplane.ts';

let denials: DenialLog;
let ring: Denial[];
let log: string;
let told: Denial[];

const names: Readonly<Record<string, string>> = {
  'policy 3': 'shop/only-cart',
  'identity 8': 'cluster.local/ns/shop/sa/web',
};

beforeEach(() => {
  vi.useFakeTimers();
  ring = [];
  log = '';
  told = [];
  const to = {
    write(text: string) {
      log += text;
    },
  };
  denials = openDenialLog({
    read: () => ring.splice(0),
    nameOf: (kind, id) => names[`${kind} ${id}`],
    log: openLog(to, 'info', {}),
    onDenial: (denial) => void told.push(denial),
    everyMs: 10,
  });
});
afterEach(() => {
  denials.stop();
  vi.useRealTimers();
});

const denial = (more: Partial<Denial> = {}): Denial => ({
  ...{ time_ns: 1n, source: '10.0.0.1', destination: 'fd00::2', source_port: 4000, destination_port: 80 },
  ...{ protocol: 6, why: reasons.indexOf('authz_denied'), flags: 0, policy: 3, dry_policy: 0, identity: 8, lost: 0 },
  ...more,
});
const lines = () =>
  log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { level: _, time: __, ...rest } = JSON.parse(line) as Record<string, unknown>;
      return rest;
    });

test('a denied connection is logged with the names of its policy and its source', () => {
  denials.start();
  ring.push(denial({ policy: 3 + 2 * 2 ** memberPolicyBits }));
  vi.advanceTimersByTime(10);
  expect(lines()).toEqual([
    {
      ...{
        event: 'denied',
        policy: 'shop/only-cart',
        rule: 2,
        identity: 'cluster.local/ns/shop/sa/web',
        protocol: 'tcp',
      },
      ...{ source: '10.0.0.1:4000', destination: '[fd00::2]:80', why: 'authz_denied', msg: 'connection denied' },
    },
  ]);
});

test('sources without an identity, of the node, and names that are gone', () => {
  denials.take([
    denial({ policy: 0, identity: 0, protocol: 17 }),
    denial({ policy: 9, identity: identityHost, protocol: 132 }),
  ]);
  expect(lines()).toMatchObject([
    { policy: '', identity: '', protocol: 'udp' },
    { policy: 'policy 9', identity: 'host', protocol: '132' },
  ]);
});

test.each([
  [denialFlag.dryRun, 'dry_run'],
  [denialFlag.dryAllows, 'dry_run_allowed'],
  [denialFlag.open, 'ended'],
  [denialFlag.handshake, 'ended'],
  [denialFlag.request, 'ended'],
])('flags %i: %s', (flags, event) => {
  denials.take([denial({ flags, dry_policy: 3 })]);
  expect(lines()).toMatchObject([{ event, dryRun: 'shop/only-cart' }]);
});

test('of many at once the first are logged, the others counted by policy, and all are told', () => {
  denials.take(Array.from({ length: 50 }, (_, i) => denial({ policy: i < 45 ? 3 : 0, lost: i === 0 ? 7 : 0 })));
  expect(lines()).toHaveLength(21);
  expect(lines().at(-1)).toMatchObject({ event: 'denied', more: { 'shop/only-cart': 25, '': 5 } });
  expect(denials.counts()).toEqual({ seen: 50, suppressed: 30, lost: 7 });
  expect(told).toHaveLength(50);
});

test('nothing is read before it starts, and what is left once it stops', () => {
  ring.push(denial());
  vi.advanceTimersByTime(100);
  expect(log).toBe('');
  denials.start();
  denials.stop();
  expect(lines()).toHaveLength(1);
  ring.push(denial());
  vi.advanceTimersByTime(100);
  expect(lines()).toHaveLength(1);
});
