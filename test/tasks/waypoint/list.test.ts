// SPDX-License-Identifier: Apache-2.0
// What "waypoint list", "status" and "delete" make of the Gateways of a cluster.
import { beforeEach, describe, expect, test } from 'vitest';
import { KmeshError } from '../../../src/errors.ts';
import { gatewayClasses, gateways, namespaces, services } from '../../../src/kube/object.ts';
import { type DeleteOptions, deleteWaypoints } from '../../../src/tasks/waypoint/delete.ts';
import { listWaypoints, type StatusOptions, showWaypoints } from '../../../src/tasks/waypoint/list.ts';
import { testEnv } from '../../cli/program.ts';
import { type FakeCluster, fakeCluster } from '../../support/fake-cluster.ts';
import { condition, gateway, gatewayClass, home, ready } from '../../support/waypoint-objects.ts';

let cluster: FakeCluster;
const open = async () => cluster;
beforeEach(() => {
  cluster = fakeCluster(
    [
      [gatewayClasses, gatewayClass('istio-waypoint', { 'istio.io/waypoint-for': 'workload' })],
      [namespaces, home('shop', { 'istio.io/use-waypoint': 'b' })],
      [gateways, gateway('b', { conditions: ready, addresses: ['10.0.0.1', 'b.shop.svc'] })],
      [gateways, gateway('a', { labels: { 'istio.io/rev': 'v2', 'istio.io/waypoint-for': 'all' } })],
      [gateways, gateway('own', { class: 'kmesh-waypoint', conditions: ready })],
      [
        gateways,
        gateway('third', { class: 'other', annotations: { 'ambient.istio.io/waypoint-inbound-binding': 'PROXY' } }),
      ],
      [gateways, gateway('ingress', { class: 'istio' })],
      [gateways, gateway('far', { namespace: 'else' })],
    ],
    'shop',
  );
});

describe('list', () => {
  const list = (options: { namespace?: string; allNamespaces?: boolean } = {}) =>
    listWaypoints(testEnv(), { allNamespaces: false, ...options }, open);
  const names = async (options = {}) =>
    (await list(options)).waypoints.map(({ namespace, name }) => `${namespace}/${name}`);

  test('waypoints of the namespace of the context, of another, or all; never other Gateways', async () => {
    expect(await names()).toEqual(['shop/a', 'shop/b', 'shop/own', 'shop/third']);
    expect(await names({ namespace: 'else' })).toEqual(['else/far']);
    expect(await names({ allNamespaces: true })).toEqual(['else/far', 'shop/a', 'shop/b', 'shop/own', 'shop/third']);
    await expect(list({ allNamespaces: true, namespace: 'x' })).rejects.toMatchObject({ code: 'KM_USAGE' });
  });

  test('traffic type and revision with their defaults', async () => {
    const rows = (await list()).waypoints.map(({ revision, trafficType, programmed }) => [
      revision,
      trafficType,
      programmed,
    ]);
    expect(rows).toEqual([
      ['v2', 'all', 'unknown'],
      ['default', 'workload', 'yes'],
      ['default', 'service', 'yes'],
      ['default', 'service', 'unknown'],
    ]);
  });

  test('a status that makes no sense is no fault', async () => {
    const odd = {
      ...gateway('odd', { namespace: 'odd' }),
      status: { conditions: [null, { type: 7 }, 'x'], addresses: 'none' },
    };
    cluster.put(gateways, odd as never);
    expect((await list({ namespace: 'odd' })).waypoints).toMatchObject([{ addresses: [], programmed: 'unknown' }]);
  });
});

describe('status', () => {
  const show = (options: Partial<StatusOptions> = {}) =>
    showWaypoints(testEnv(), { names: [], allNamespaces: false, wait: false, timeout: 50, ...options }, open);

  test('says what is known at once, each waypoint once, ready or not', async () => {
    const { waypoints, missing } = await show({ timeout: 3_600_000 });
    expect(waypoints.map(({ name }) => name)).toEqual(['a', 'b', 'own', 'third']);
    expect(waypoints[0]).toMatchObject({ programmed: 'unknown', why: 'no controller has looked at it' });
    expect(missing).toEqual([]);
  });

  test('of those that are named; who is none is told', async () => {
    const { waypoints, missing } = await show({ names: ['b', 'gone', 'ingress'] });
    expect(waypoints.map(({ name }) => name)).toEqual(['b']);
    expect(missing).toEqual(['gone', 'ingress']);
    await expect(show({ names: ['b'], allNamespaces: true })).rejects.toMatchObject({ code: 'KM_USAGE' });
  });

  test('waits only when asked to, for all of them within one time-out', async () => {
    expect((await show({ names: ['b', 'own'], wait: true })).waypoints.length).toBe(2);
    await expect(show({ wait: true })).rejects.toMatchObject({ code: 'KM_TIMEOUT' });
    expect((await show({ names: ['b', 'gone'], wait: true })).missing).toEqual(['gone']);
  });

  test('a condition of an earlier version does not count', async () => {
    cluster.put(
      gateways,
      gateway('b', { generation: 3, conditions: [condition('Programmed', 'True', 'Programmed', '', 2)] }),
    );
    const { waypoints } = await show({ names: ['b'] });
    expect(waypoints[0]).toMatchObject({ programmed: 'unknown', conditions: [{ stale: true }] });
  });
});

describe('delete', () => {
  const remove = (options: Partial<DeleteOptions> = {}) =>
    deleteWaypoints(testEnv(), { names: [], all: false, dryRun: false, ...options }, open);
  const outcome = async (options: Partial<DeleteOptions>) =>
    (await remove(options)).waypoints.map(
      ({ name, state, reason = '' }) => `${name}: ${state}${reason && `, ${reason}`}`,
    );

  test('all: waypoints of one namespace, and no other Gateway', async () => {
    expect(await outcome({ all: true })).toEqual(['a: deleted', 'b: deleted', 'own: deleted', 'third: deleted']);
    expect(await cluster.get(gateways, 'ingress', 'shop')).toBeDefined();
    expect(await cluster.get(gateways, 'far', 'else')).toBeDefined();
    expect(await outcome({ all: true })).toEqual([]);
  });

  test('by revision', async () => {
    expect(await outcome({ revision: 'v2' })).toEqual(['a: deleted']);
  });

  test('by name: what fails for one does not keep the others', async () => {
    expect(await outcome({ names: ['a', 'gone', 'ingress', 'b', 'a'] })).toEqual([
      'a: deleted',
      'gone: not found',
      'ingress: failed, a Gateway of class istio is no waypoint',
      'b: deleted',
    ]);
    cluster.fail('remove', new KmeshError('KM_KUBE', 'gateway shop/own: forbidden'));
    expect(await outcome({ names: ['own'] })).toEqual(['own: failed, gateway shop/own: forbidden']);
  });

  test('who still asks for it is told', async () => {
    const cart = (labels: Record<string, string>) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'cart', namespace: 'shop', labels },
    });
    cluster.put(services, cart({ 'istio.io/use-waypoint': 'b' }));
    expect((await remove({ names: ['b'], dryRun: true })).waypoints[0]?.usedBy).toEqual([
      'namespace shop',
      'service shop/cart',
    ]);
    cluster.put(services, cart({ 'istio.io/use-waypoint': 'b', 'istio.io/use-waypoint-namespace': 'else' }));
    expect((await remove({ names: ['b'], dryRun: true })).waypoints[0]?.usedBy).toEqual(['namespace shop']);
    expect(cluster.writes.every(({ dryRun }) => dryRun)).toBe(true);
    expect(await cluster.get(gateways, 'b', 'shop')).toBeDefined();
  });

  test.each([
    [{}, 'which waypoint?'],
    [{ names: ['a'], all: true }, 'names of waypoints and --all exclude each other'],
    [{ names: ['a'], revision: 'x' }, 'names of waypoints and --revision exclude each other'],
  ])('usage: %j', async (options, message) => {
    await expect(remove(options)).rejects.toMatchObject({ code: 'KM_USAGE', message });
  });
});
