// SPDX-License-Identifier: Apache-2.0
// What a waypoint that is run says of its Gateway. A real API server is told in test/interop.
import { expect, test } from 'vitest';
import { KmeshError } from '../../../src/errors.ts';
import { gateways, type KubeObject } from '../../../src/kube/object.ts';
import { openReporter } from '../../../src/tasks/waypoint/run-report.ts';
import { testEnv } from '../../cli/program.ts';
import { fakeCluster } from '../../support/fake-cluster.ts';
import { gateway } from '../../support/waypoint-objects.ts';

const said: string[] = [];
const log = {
  level: 'info' as const,
  debug() {},
  info() {},
  error() {},
  warn: (facts: object) => void said.push(JSON.stringify(facts)),
};
const env = testEnv();
const where = { namespace: 'shop', name: 'way', everyMs: 5 };
const own = (generation = 1): KubeObject => gateway('way', { class: 'kmesh-waypoint', generation });

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 5000 && !(await check()); i++) await new Promise((done) => setTimeout(done, 2));
  expect(await check()).toBe(true);
}

interface Told {
  readonly addresses?: readonly { readonly value: string }[];
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly observedGeneration: number;
  }[];
}
type Cluster = ReturnType<typeof fakeCluster>;
const told = async (cluster: Cluster): Promise<Told | undefined> =>
  (await cluster.get(gateways, 'way', 'shop'))?.status as Told | undefined;
const programmed = async (cluster: Cluster) =>
  (await told(cluster))?.conditions.find(({ type }) => type === 'Programmed');

test('programmed while it listens, again for each version of the Gateway, and not any more at the end', async () => {
  const cluster = fakeCluster([[gateways, own()]]);
  const reporter = await openReporter(env, cluster, where, log);
  expect(cluster.writes).toEqual([]);
  reporter.ready(['10.0.0.4']);
  await until(async () => (await programmed(cluster))?.status === 'True');
  expect((await told(cluster))?.addresses).toEqual([{ type: 'IPAddress', value: '10.0.0.4' }]);
  // Nothing is written twice.
  reporter.ready(['10.0.0.4']);
  await new Promise((done) => setTimeout(done, 50));
  expect(cluster.writes).toHaveLength(1);

  cluster.put(gateways, own(2));
  await until(async () => (await programmed(cluster))?.observedGeneration === 2);
  cluster.fail('get', new KmeshError('KM_KUBE', 'away'));
  await until(() => said.some((line) => line.includes('away')));
  cluster.fail('get', undefined);
  await reporter.close();
  await reporter.close();
  expect(await programmed(cluster)).toMatchObject({ status: 'False', reason: 'NoResources' });
  expect(await told(cluster)).not.toHaveProperty('addresses');
});

test('what never listened says nothing', async () => {
  const cluster = fakeCluster([[gateways, own()]]);
  await (await openReporter(env, cluster, where, log)).close();
  expect(cluster.writes).toEqual([]);
});

test.each([
  ['a Gateway that is not there', [], 'KM_NOT_FOUND'],
  ['one of a class with a controller', [[gateways, gateway('way')]] as const, 'KM_CONFIG'],
])('%s', async (_, objects, code) => {
  await expect(openReporter(env, fakeCluster(objects), where, log)).rejects.toMatchObject({ code });
});
