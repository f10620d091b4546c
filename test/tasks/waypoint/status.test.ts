// SPDX-License-Identifier: Apache-2.0
// "waypoint status": a cluster, the control planes of this node, or both; as a value and as people read it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Handlers, openAdminServer } from '../../../src/admin/server.ts';
import type { WaypointItem } from '../../../src/admin/waypoint.ts';
import { program } from '../../../src/cli/program.ts';
import { collect } from '../../../src/cli/spec.ts';
import { drawBlocks } from '../../../src/cli/table.ts';
import { viewWaypointStatus } from '../../../src/cli/view/waypoint-status.ts';
import { KmeshError } from '../../../src/errors.ts';
import { gateways } from '../../../src/kube/object.ts';
import type { Open } from '../../../src/tasks/waypoint/open.ts';
import { type StatusOptions, showWaypointStatus } from '../../../src/tasks/waypoint/status.ts';
import { runLine, testEnv } from '../../cli/program.ts';
import { fakeCluster } from '../../support/fake-cluster.ts';
import { gateway, ready } from '../../support/waypoint-objects.ts';

let runDir = '';
const closing: (() => unknown)[] = [];
beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), 'km-status-'));
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  rmSync(runDir, { recursive: true });
});

const since = Date.parse('2026-01-02T03:04:05Z');
const items: readonly WaypointItem[] = [
  { ...{ kind: 'waypoint', waypoint: 'else/idle', listen: '', node: '', locality: '', proxies: [], refused: [] } },
  {
    ...{ kind: 'waypoint', waypoint: 'shop/waypoint', listen: '127.0.0.1:15088', node: 'n1', locality: '' },
    proxies: [
      {
        ...{ id: 'envoy-1', peer: '', way: 'delta', since, unknown: [] },
        types: [{ type: 'routes', version: 'abc', taken: 4, responses: 3, acks: 2, nacks: 1, awaited: 0 }],
      },
      { ...{ id: 'envoy-2', peer: '10.0.0.7:4000', way: 'world', since, unknown: [], types: [] } },
    ],
    resources: { clusters: 1, endpoints: 2, listeners: 1, routes: 5 },
    refused: [
      {
        ...{ type: 'routes', name: 'shop/cart|80', version: 'v2', reason: 'no regex', stands: 'v1' },
        parts: [{ part: 'HTTPRoute shop/cart', reason: 'no regex in it' }],
        proxies: ['envoy-1'],
      },
      {
        ...{ type: 'clusters', name: 'shop/new|80', version: 'v1', reason: 'bad', stands: '', proxies: [], parts: [] },
      },
    ],
  },
  {
    kind: 'route',
    route: 'HTTPRoute shop/cart',
    parents: [
      {
        parent: 'Service shop/cart:80',
        conditions: [
          { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' },
          {
            type: 'ResolvedRefs',
            status: 'False',
            reason: 'BackendNotFound',
            message: 'Service shop/gone is not there',
          },
          { type: 'PartiallyInvalid', status: 'True', reason: 'UnsupportedValue', message: 'rule 2 is left out' },
        ],
      },
    ],
  },
  {
    kind: 'route',
    route: 'AuthorizationPolicy shop/no-admin',
    parents: [
      {
        parent: 'Service shop/cart',
        conditions: [{ type: 'Accepted', status: 'True', reason: 'Accepted', message: '' }],
      },
      {
        parent: 'Service shop/gone',
        conditions: [{ type: 'Accepted', status: 'False', reason: 'TargetNotFound', message: 'it is not there' }],
      },
    ],
  },
];

async function serve(handlers: Partial<Handlers>, socket: 'agent' | 'waypoints' = 'agent'): Promise<void> {
  const server = await openAdminServer(runDir, handlers, socket);
  closing.push(() => server.close());
}
const fault = 'the configuration has 1 fault';
const ads: Partial<Handlers> = {
  ads: () => ({ address: '127.0.0.1:15010', tls: 'none' }) as const,
  waypoints: () => items,
  ready: () => ({ ready: false, notReady: [fault] }),
};

const cluster = fakeCluster([[gateways, gateway('waypoint', { conditions: ready })]], 'shop');
const open: Open = async () => cluster;
const noCluster: Open = async () => {
  throw new KmeshError('KM_KUBE', 'no cluster to talk to: there is no kubeconfig');
};
const show = (options: Partial<StatusOptions> = {}, from: Open = open) =>
  showWaypointStatus(
    testEnv(),
    {
      ...{ place: { bpffs: '', cgroupRoot: '', runDir }, names: [], allNamespaces: false, wait: false, timeout: 50 },
      ...options,
    },
    from,
  );
const text = async (options: Partial<StatusOptions> = {}, from: Open = open) =>
  (await collect(drawBlocks(viewWaypointStatus(await show(options, from)), false))).join('');

describe('whom it asks', () => {
  test('the cluster alone, where nobody else is', async () => {
    expect(await show()).toMatchObject({ cluster: true, waypoints: [{ name: 'waypoint' }], nodes: [], faults: [] });
    expect((await text()).split('\n')[0]).toMatch(/^NAME +STATUS +TYPE/);
  });

  test('nobody', async () => {
    await expect(show({}, noCluster)).rejects.toMatchObject({
      code: 'KM_KUBE',
      message: `no cluster to talk to: there is no kubeconfig, and no control plane of waypoints answers in "${runDir}"`,
    });
  });

  test('both; and the node alone, where no cluster is', async () => {
    await serve(ads);
    expect(await show()).toMatchObject({ cluster: true, nodes: [{ program: 'agent', address: '127.0.0.1:15010' }] });
    const alone = await show({}, noCluster);
    expect(alone).toMatchObject({ waypoints: [], nodes: [{ program: 'agent' }], faults: [{ code: 'KM_KUBE' }] });
    expect(alone.cluster).toBeUndefined();
    expect(await text({}, noCluster)).toMatch(/\nno cluster to talk to: there is no kubeconfig\n$/);
    expect((await show({ from: 'cluster' })).nodes).toEqual([]);
    expect((await show({ from: 'node' }, noCluster)).faults).toEqual([]);
    // Whoever names a cluster wants that one.
    for (const given of [{ from: 'cluster' }, { kubeconfig: 'x' }, { context: 'x' }, { wait: true }] as const) {
      await expect(show(given, noCluster)).rejects.toMatchObject({ code: 'KM_KUBE' });
    }
  });

  test('an agent and a server beside it; an agent that serves none is nobody', async () => {
    const none = () => {
      throw new KmeshError('KM_NOT_FOUND', 'this agent is no control plane of waypoints');
    };
    await serve({ ads: none, waypoints: none });
    await expect(show({ from: 'node' })).rejects.toMatchObject({
      code: 'KM_AGENT_UNREACHABLE',
      message: expect.stringContaining('no control plane of waypoints'),
    });
    expect(await show()).toMatchObject({ cluster: true, nodes: [], faults: [] });
    await serve(ads, 'waypoints');
    expect((await show({ from: 'node' })).nodes).toMatchObject([{ program: 'waypoint serve' }]);
  });

  test('what does not answer is said beside what does', async () => {
    await serve({
      ads: () => {
        throw new Error('surprise');
      },
    });
    expect(await show()).toMatchObject({ cluster: true, nodes: [], faults: [{ code: 'KM_INTERNAL' }] });
    expect(await text()).toMatch(/^KM_INTERNAL: surprise\n/);
    await expect(show({ from: 'node' })).rejects.toMatchObject({ code: 'KM_INTERNAL' });
    await expect(show({}, noCluster)).rejects.toMatchObject({
      code: 'KM_KUBE',
      message: expect.stringMatching(/no kubeconfig, and surprise$/),
    });
  });

  test.each([
    [{ from: 'node', wait: true }, /--from node excludes --wait/],
    [{ from: 'node', context: 'x' }, /--from node excludes --wait/],
    [{ allNamespaces: true, namespace: 'x' }, /exclude each other/],
    [{ allNamespaces: true, names: ['x'] }, /exclude each other/],
  ] as const)('usage: %j', async (options, message) => {
    await expect(show(options)).rejects.toMatchObject({ code: 'KM_USAGE', message: expect.stringMatching(message) });
  });

  test('as it is typed', async () => {
    await serve(ads);
    const run = (line: string) =>
      runLine(program, ['waypoint', 'status', '--run-dir', runDir, ...line.split(' ')], {
        ...{ root: false, env: { HOME: '/nonexistent' } },
      });
    const { code, stdout } = await run('--from node -o json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      missing: [],
      nodes: [{ routes: [{ route: 'HTTPRoute shop/cart' }, {}] }],
    });
    expect(await run('--from node waypoint gone')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no such waypoint: gone'),
    });
    expect((await run('--from node -o yaml')).stdout).toContain('reason: no regex');
  });
});

describe('what is shown', () => {
  test('of a name or a namespace', async () => {
    await serve(ads);
    const names = async (options: Partial<StatusOptions>) => {
      const { nodes, missing } = await show({ from: 'node', ...options });
      const shown = nodes.flatMap(({ waypoints, routes }) => [
        ...waypoints.map(({ waypoint }) => waypoint),
        ...routes.map(({ route }) => route),
      ]);
      return [...shown, ...missing.map((name) => `-${name}`)];
    };
    expect(await names({})).toEqual([
      'else/idle',
      'shop/waypoint',
      'HTTPRoute shop/cart',
      'AuthorizationPolicy shop/no-admin',
    ]);
    expect(await names({ namespace: 'shop' })).toEqual([
      'shop/waypoint',
      'HTTPRoute shop/cart',
      'AuthorizationPolicy shop/no-admin',
    ]);
    expect(await names({ namespace: 'else' })).toEqual(['else/idle']);
    expect(await names({ names: ['waypoint', 'gone'] })).toEqual(['shop/waypoint', '-gone']);
    expect(await names({ names: ['shop/waypoint'] })).toEqual(['shop/waypoint']);
    // What the cluster does not know may be known here.
    expect((await show({ names: ['idle', 'waypoint', 'gone'] })).missing).toEqual(['gone']);
  });

  test('proxies, what they refuse, and what became of routes', async () => {
    await serve(ads);
    expect(await text({ from: 'node' })).toMatchInlineSnapshot(`
      "agent is not ready: the configuration has 1 fault

      Told by agent at 127.0.0.1:15010 without TLS
      WAYPOINT                             PROXIES  CLUSTERS  ENDPOINTS  LISTENERS  ROUTES  REFUSED
      else/idle                            none     -         -          -          -       0
      shop/waypoint (127.0.0.1:15088, n1)  2        1         2          1          5       2

      Proxies
      WAYPOINT       PROXY    ADDRESS        SINCE                     PROTOCOL  TYPE    VERSION  IN USE  ANSWERS  REFUSALS  AWAITED
      shop/waypoint  envoy-1  unix socket    2026-01-02T03:04:05.000Z  delta     routes  abc      4       3        1         0
      shop/waypoint  envoy-2  10.0.0.7:4000  2026-01-02T03:04:05.000Z  sotw      -       -        -       -        -         -

      Refused by proxies
      WAYPOINT       TYPE      NAME          PART                 VERSION  IN ITS PLACE  PROXIES  REASON
      shop/waypoint  routes    shop/cart|80  HTTPRoute shop/cart  v2       v1            envoy-1  no regex in it
      shop/waypoint  clusters  shop/new|80   -                    v1       nothing       (gone)   bad

      Routes
      ROUTE                PARENT                ACCEPTED  RESOLVED REFS           PARTIALLY INVALID       WHY
      HTTPRoute shop/cart  Service shop/cart:80  True      False: BackendNotFound  True: UnsupportedValue  Service shop/gone is not there; rule 2 is left out

      Policies
      POLICY                             TARGET             ACCEPTED               WHY
      AuthorizationPolicy shop/no-admin  Service shop/cart  True                   -
      AuthorizationPolicy shop/no-admin  Service shop/gone  False: TargetNotFound  it is not there
      "
    `);
  });
});
