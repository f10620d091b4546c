// SPDX-License-Identifier: Apache-2.0
// Status of an agent with a control plane, as people read it.
import { expect, test } from 'vitest';
import { collect } from '../../src/cli/spec.ts';
import { drawBlocks } from '../../src/cli/table.ts';
import { viewStatus } from '../../src/cli/view/status.ts';
import { viewXds } from '../../src/cli/view/xds.ts';
import type { AgentStatus } from '../../src/tasks/status.ts';

type Source = AgentStatus['sources'][number];
const at = Date.parse('2026-01-02T03:04:05Z');
const draw = async (source: Source, demand?: AgentStatus['demand']) =>
  (await collect(drawBlocks(viewXds(source, demand), false))).join('');

const counts = { responses: 3, bytes: 2_500_000, acks: 2, nacks: 1, rejected: 1, refusedNow: 1 };
const ended = { complete: 0, connection_error: 0, error: 0, reconnect: 0 };
const xds = {
  ...{ server: 'istiod:15012', connected: true, since: at, streams: 2, lastFault: '', onDemand: false },
  ...{ demanded: 0, absent: 0, ended },
  types: [
    {
      type: 'address',
      ...{ complete: true, held: 1200, lastResponseAt: at, systemVersion: 'v9', ...counts },
      refused: [{ name: 'k//Pod/shop/a', kept: true, faults: ['addresses[0]: 3 bytes', 'status: 7'] }],
    },
    {
      type: 'authorization',
      ...{ complete: false, held: 0, systemVersion: '', responses: 0, bytes: 0, acks: 0 },
      ...{ nacks: 0, rejected: 0, refusedNow: 0, refused: [] },
    },
  ],
} as const;
const source: Source = { name: 'xds istiod:15012', complete: true, files: 0, objects: 1200, xds };

test('a connected control plane, what it sent, and what was refused', async () => {
  expect(await draw(source)).toBe(`Control plane: xds istiod:15012
connection  up since 2026-01-02T03:04:05.000Z
streams     2 opened
addresses   1200 resources, last push 2026-01-02T03:04:05.000Z, version v9; 3 responses (2.5 MB), 2 accepted, 1 refused for 1 resource
policies    nothing came yet

Refused from xds istiod:15012 (1)
NAME           IN EFFECT         REASON
k//Pod/shop/a  as it was before  addresses[0]: 3 bytes; status: 7
`);
});

test('one that is away, on demand', async () => {
  const away = { ...xds, connected: false, lastFault: 'connection refused', onDemand: true, demanded: 4, absent: 1 };
  const known = { count: 2, sum: 12, p50: 4, p99: 8, max: 8, buckets: [] };
  const demand = { onMiss: 'refuse', addresses: 3, waiting: 1, forgotten: 0, known } as const;
  const text = await draw({ ...source, xds: { ...away, types: [] } }, demand);
  expect(text).toBe(`Control plane: xds istiod:15012
connection   down since 2026-01-02T03:04:05.000Z: connection refused
streams      2 opened
on demand    4 names asked for, 1 not there
dialled      3 addresses, 1 without answer; first refused
known after  4.0 ms (median), 8.0 ms (99 %)
`);
});

test('files have nothing to say here', async () => {
  expect(await draw({ name: '/etc/kmesh', complete: true, files: 1, objects: 1 })).toBe('');
});

test('authorization: pods that nothing gets into, policies that are not in force as written, and what was denied', async () => {
  const agent = {
    ...{
      pid: 1,
      version: '1',
      node: 'n1',
      since: at,
      ready: true,
      notReady: [],
      sources: [],
      services: 0,
      workloads: 3,
    },
    ...{ policies: 4, faults: [], warnings: [], ignored: [], growth: [], queue: 0, lag: { mean: 0, max: 0 } },
    ...{ logLevel: 'info', heal: { comparisons: 0, repairedEntries: 0 } },
    authz: {
      ...{ pods: { on: 2, pending: 1, off: 3 }, stale: ['shop/old'], refused: ['shop/bad'], deniesLess: [] },
      denials: { seen: 5, suppressed: 1, lost: 2 },
      rechecks: { rounds: 4, destroyed: 1, lastAt: at, lastMilliseconds: 1 },
    },
  } as unknown as AgentStatus;
  const status = { programs: [], maps: [], enrolled: 6, reasons: [], agent };
  const text = (await collect(drawBlocks(viewStatus(status), false))).join('');
  expect(text.split('\n').filter((line) => /^(auth|clos|stale|deny|denied|ended)/.test(line))).toEqual([
    'authorization     2 cgroups judged, 3 not; nothing gets into 1 cgroup whose policies are not in the kernel yet',
    'closing policies  shop/bad',
    'stale policies    shop/old',
    'denied            5 recorded (1 of them not logged), 2 not recorded',
    'ended             1 connection not allowed any more',
  ]);
});
