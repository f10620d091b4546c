// SPDX-License-Identifier: Apache-2.0
// What has no room is told by its name, with what becomes of it and the flag that gives more.
import { expect, test } from 'vitest';
import { refusalRemark, verdictRemark } from '../../src/agent/findings.ts';
import type { Refusal } from '../../src/compile/plan.ts';

const refusal = (fields: Partial<Refusal>): Refusal => ({
  services: [],
  workload: '',
  shortage: { map: 'endpoint', needed: 6, free: 4 },
  reason: 'no room',
  backends: [],
  frontends: [],
  ...fields,
});

test.each([
  [
    { port: 'tcp/10.0.0.1:15088', shortage: { map: 'waypoint_port', needed: 1, free: 0 } },
    'waypoint port tcp/10.0.0.1:15088',
    'no room (--map-size waypoint_port=N gives it more); meanwhile ports like it are closed to enrolled clients',
  ],
  [{ workload: 'uid' }, 'workload uid', 'no room (--max-endpoints gives it more); it stays as it was'],
  [
    { services: ['shop/a', 'shop/b'] },
    'service shop/a, service shop/b',
    'no room (--max-endpoints gives it more); it stays as it was',
  ],
  [{ services: ['shop/a'], shortage: undefined }, 'service shop/a', 'no room; it stays as it was'],
] as const)('%j', (fields, resource, reason) => {
  expect(refusalRemark(refusal(fields))).toEqual({ place: '', resource, field: '', reason });
});

test('a verdict', () => {
  const shortage = { map: 'authz_range', needed: 101, free: 57 } as const;
  const policies = ['shop/p'];
  expect(
    verdictRemark({ what: 'destination', name: '10.0.0.1', workload: '', policies, shortage, reason: 'no room' }),
  ).toEqual({
    place: '',
    resource: 'authorization of destination 10.0.0.1',
    field: '',
    reason: 'no room (--map-size authz_range=N gives it more) (shop/p not in force there)',
  });
});
