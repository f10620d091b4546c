// SPDX-License-Identifier: Apache-2.0
// Facts of an agent in which every metric has a value.
import type { MetricsFacts, XdsTypeFacts } from '../../src/outputs/facts.ts';

const type = (name: string, n: number): XdsTypeFacts => ({
  type: name,
  url: `type.googleapis.com/${name}`,
  complete: true,
  ...{ held: n, lastResponseAt: 1_700_000_000_500, responses: n + 1, bytes: n + 2, acks: n + 3, nacks: n + 4 },
  ...{ rejected: n + 5, refused: n + 6 },
});

export const facts: MetricsFacts = {
  ready: true,
  sources: [
    { name: 'xds istiod:15012', complete: true, objects: 5 },
    { name: '/etc/my "mesh"\\x\n', complete: false, objects: 0 },
  ],
  xds: {
    ...{ connected: true, since: 1_700_000_000_000, streams: 3, demanded: 4, absent: 2 },
    ended: { ConnectionError: 2, Complete: 1 },
    types: [type('address', 10), type('authorization', 20)],
  },
  demand: {
    ...{ addresses: 3, waiting: 1, forgotten: 2 },
    known: {
      count: 3,
      sum: 21,
      buckets: [
        { atMost: 5, count: 1 },
        { atMost: 10, count: 2 },
      ],
    },
  },
  objects: { service: 1, workload: 2, policy: 3 },
  ...{ faults: 7, queue: 8, writeFailed: false, growths: 1 },
  maps: [{ name: 'frontend', used: 12, size: 131_072 }],
  heal: {
    ...{ comparisons: 5, lastAt: 1_700_000_001_000, lastMilliseconds: 250 },
    ...{ repairedEntries: 1, correctedCounts: 2, removedEnrolments: 3 },
  },
  authz: {
    ...{ pods: { on: 2, pending: 1, off: 0 }, policies: { stale: 1, refused: 0, denies_less: 2 } },
    verdicts: [
      ['shop/cart', 'denied', 5],
      ['', 'allowed', 6],
    ],
    ...{ denials: { logged: 3, suppressed: 4 }, rechecks: 8, destroyed: 9 },
  },
  waypoints: {
    ...{ proxies: 2, streams: 5, ended: { too_many: 1, silent: 0 }, conditions: { BackendNotFound: 2 } },
    types: [{ type: 'routes', responses: 9, acks: 6, nacks: 2, refused: 1, awaited: 1 }],
  },
  lag: { mean: 1.5, max: 20 },
  reasons: [
    ['balanced', 9_007_199_254_740_000],
    ['not_enrolled', 0],
  ],
};
