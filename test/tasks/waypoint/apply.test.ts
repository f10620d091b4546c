// SPDX-License-Identifier: Apache-2.0
// What "waypoint apply" writes, what it refuses, what it waits for.
import { beforeEach, describe, expect, test } from 'vitest';
import { KmeshError } from '../../../src/errors.ts';
import { gatewayClasses, gateways, namespaces } from '../../../src/kube/object.ts';
import { type ApplyOptions, applyWaypoint } from '../../../src/tasks/waypoint/apply.ts';
import { testEnv } from '../../cli/program.ts';
import { type FakeCluster, fakeCluster } from '../../support/fake-cluster.ts';
import { condition, gateway, gatewayClass, home, ready } from '../../support/waypoint-objects.ts';

const defaults: ApplyOptions = {
  name: 'waypoint',
  class: 'istio-waypoint',
  namespace: 'shop',
  enrollNamespace: false,
  overwrite: false,
  forceConflicts: false,
  wait: false,
  timeout: 50,
  dryRun: false,
};

let cluster: FakeCluster;
beforeEach(() => {
  cluster = fakeCluster([
    [namespaces, home()],
    [gatewayClasses, gatewayClass()],
  ]);
});

function apply(options: Partial<ApplyOptions> = {}) {
  const env = testEnv();
  const result = applyWaypoint(env, { ...defaults, ...options }, async () => cluster);
  return Object.assign(result, { told: () => env.text().stderr });
}
const written = () => cluster.writes.map(({ verb, what, dryRun }) => `${verb} ${what}${dryRun ? ' (dry)' : ''}`);
const labels = async () => (await cluster.get(namespaces, 'shop'))?.metadata.labels;
const code = (fault: unknown) => (fault instanceof KmeshError ? fault.code : fault);

test('made, changed, and the same again', async () => {
  expect(await apply()).toEqual({
    dryRun: false,
    namespace: 'shop',
    name: 'waypoint',
    waypoint: 'created',
    warnings: [],
  });
  expect((await apply()).waypoint).toBe('unchanged');
  expect((await apply({ for: 'all' })).waypoint).toBe('changed');
  expect((await cluster.get(gateways, 'waypoint', 'shop'))?.metadata.labels).toEqual({
    'istio.io/waypoint-for': 'all',
  });
  expect(cluster.writes.every(({ force }) => force === false)).toBe(true);
});

test('the namespace is that of the context unless given', async () => {
  cluster = fakeCluster([], 'of-context');
  expect((await applyWaypoint(testEnv(), omitNamespace(), async () => cluster)).namespace).toBe('of-context');
});
const omitNamespace = (): ApplyOptions => {
  const { namespace: _, ...rest } = defaults;
  return rest;
};

test.each(['none', 'Way', '-a', 'a'.repeat(64), ''])(
  'no waypoint is called %j: told before a cluster is asked',
  async (name) => {
    const open = async () => {
      throw new Error('opened');
    };
    await expect(applyWaypoint(testEnv(), { ...defaults, name }, open)).rejects.toMatchObject({ code: 'KM_USAGE' });
  },
);

test('a dry run is one of the API server, for all that would be written', async () => {
  const result = await apply({ dryRun: true, enrollNamespace: true, wait: true });
  expect(result).toMatchObject({ dryRun: true, waypoint: 'created', enrolled: 'now' });
  expect(written()).toEqual(['apply gateways shop/waypoint (dry)', 'label namespaces shop (dry)']);
});

test('a class that nobody made is told, except ours', async () => {
  const [warning] = (await apply({ class: 'gone' })).warnings;
  expect(warning).toBe('the cluster has no GatewayClass "gone": no controller will make the waypoint');
  expect((await apply({ class: 'kmesh-waypoint', name: 'own' })).warnings).toEqual([]);
});

describe('enrolling the namespace', () => {
  test('labels it once', async () => {
    expect((await apply({ enrollNamespace: true })).enrolled).toBe('now');
    expect(await labels()).toEqual({ 'istio.io/dataplane-mode': 'ambient', 'istio.io/use-waypoint': 'waypoint' });
    const before = written().length;
    expect((await apply({ enrollNamespace: true })).enrolled).toBe('before');
    expect(written().slice(before)).toEqual(['apply gateways shop/waypoint']);
  });

  test.each([
    [{ 'istio.io/use-waypoint': 'other' }, 'uses waypoint "other" already'],
    [{ 'istio.io/use-waypoint': 'none' }, 'is labelled to use no waypoint'],
    [
      { 'istio.io/use-waypoint': 'waypoint', 'istio.io/use-waypoint-namespace': 'infra' },
      'uses waypoint "infra/waypoint" already',
    ],
  ])('another waypoint stays, and nothing at all is changed: %j', async (labelled, why) => {
    cluster.put(namespaces, home('shop', labelled));
    const fault = await apply({ enrollNamespace: true }).catch((error) => error);
    expect({ code: code(fault), message: fault.message, hint: fault.hint }).toEqual({
      code: 'KM_CONFLICT',
      message: `namespace shop ${why}; nothing was changed`,
      hint: '--overwrite lets it use this one',
    });
    expect(written()).toEqual([]);
    expect((await apply({ enrollNamespace: true, overwrite: true })).enrolled).toBe('now');
    expect(await labels()).toEqual({ 'istio.io/use-waypoint': 'waypoint' });
  });

  test('a label that appears meanwhile is not written over', async () => {
    cluster.fail('label', new KmeshError('KM_CONFLICT', 'namespace shop was changed by somebody else meanwhile'));
    expect(code(await apply({ enrollNamespace: true }).catch((error) => error))).toBe('KM_CONFLICT');
  });

  test.each([
    ['ambient', 0],
    ['Kmesh', 0],
    ['kmesh', 0],
    ['none', 1],
    [undefined, 1],
  ])('a namespace in mode %s: %i warnings', async (mode, count) => {
    cluster.put(namespaces, home('shop', mode === undefined ? {} : { 'istio.io/dataplane-mode': mode }));
    cluster.put(gateways, gateway('waypoint', { conditions: ready }));
    const { warnings } = await apply({ enrollNamespace: true });
    expect(warnings.length).toBe(count);
    if (count > 0) expect(warnings[0]).toContain('kubectl label namespace shop istio.io/dataplane-mode=ambient');
  });

  test('before it is ready: told what that does', async () => {
    expect((await apply({ enrollNamespace: true })).warnings).toEqual([
      expect.stringContaining('--wait enrols after that'),
    ]);
  });

  test('without a namespace', async () => {
    const fault = await apply({ namespace: 'gone', enrollNamespace: true }).catch((error) => error);
    expect(fault).toMatchObject({ code: 'KM_NOT_FOUND', message: 'there is no namespace "gone"' });
    expect(written()).toEqual([]);
  });
});

describe('waiting', () => {
  test('ends at once when it is programmed, and only then enrols', async () => {
    cluster.put(gateways, gateway('waypoint', { conditions: ready }));
    const result = await apply({ wait: true, enrollNamespace: true });
    expect(result).toMatchObject({ ready: true, enrolled: 'now', warnings: [] });
  });

  test('tells what it waits for as that changes, and goes on', async () => {
    const pending = condition('Programmed', 'Unknown', 'Pending', 'Waiting for controller');
    cluster.put(gateways, gateway('waypoint', { conditions: [pending] }));
    const running = apply({ wait: true, timeout: 60_000 });
    await expect
      .poll(running.told, { timeout: 20_000 })
      .toContain('Programmed is Unknown, reason Pending: Waiting for controller');
    cluster.fail('get', new KmeshError('KM_KUBE', 'connect ECONNREFUSED', { facts: { passing: 1 } }));
    await expect.poll(running.told, { timeout: 20_000 }).toContain('connect ECONNREFUSED');
    cluster.fail('get', undefined);
    cluster.put(gateways, gateway('waypoint', { conditions: ready }));
    expect((await running).ready).toBe(true);
    expect(running.told()).toMatch(/^waypoint shop\/waypoint: \d+ of 60 s: /);
    expect(running.told().trim().split('\n').length).toBeLessThan(5);
  });

  test.each([
    [[], 'no controller has looked at it'],
    [[condition('Programmed', 'False', 'Invalid', 'no replicas')], 'Programmed is False, reason Invalid: no replicas'],
    [
      [condition('Accepted', 'False', 'InvalidParameters', 'bad'), condition('Programmed', 'Unknown', 'Pending')],
      'Accepted is False, reason InvalidParameters: bad',
    ],
    [[condition('Programmed', 'True', 'Programmed', '', 1)], 'its controller has not looked at its latest version'],
  ])('ends at the time-out with the reason: %j', async (conditions, why) => {
    cluster.put(gateways, gateway('waypoint', { conditions, generation: 2 }));
    const fault = await apply({ wait: true, enrollNamespace: true }).catch((error) => error);
    expect({ code: code(fault), message: fault.message }).toEqual({
      code: 'KM_TIMEOUT',
      message: `waypoint shop/waypoint is not programmed after 0.05 s: ${why}`,
    });
    expect(written()).toEqual(['apply gateways shop/waypoint']);
  });

  test('a server that does not answer makes the wait no longer', async () => {
    cluster.put(gateways, gateway('waypoint'));
    const { get } = cluster;
    let asked = 0;
    Object.assign(cluster, {
      get: (...what: Parameters<typeof get>) =>
        what[0] !== gateways || ++asked === 1 ? get(...what) : new Promise(() => {}),
    });
    await expect(apply({ wait: true })).rejects.toMatchObject({
      code: 'KM_TIMEOUT',
      message: 'waypoint shop/waypoint is not programmed after 0.05 s: the Kubernetes API does not answer',
    });
  });

  test('what will not get better ends it', async () => {
    const pending = gateway('waypoint');
    cluster.put(gateways, pending);
    const deleted = apply({ wait: true, timeout: 60_000 });
    await expect.poll(deleted.told, { timeout: 20_000 }).toContain('no controller');
    cluster.drop(gateways, 'waypoint', 'shop');
    await expect(deleted).rejects.toMatchObject({ code: 'KM_NOT_FOUND' });
    cluster.fail('get', new KmeshError('KM_KUBE', 'forbidden'));
    await expect(apply({ wait: true, timeout: 60_000 })).rejects.toThrow('forbidden');
  });
});
