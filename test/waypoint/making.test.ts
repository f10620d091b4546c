// SPDX-License-Identifier: Apache-2.0
// A waypoint that is made for the first time: clusters are told while the rest is made, and nobody sees half of anything.
import { afterEach, expect, test } from 'vitest';
import type { Model } from '../../src/mesh/model.ts';
import { openWaypointServer } from '../../src/waypoint/server.ts';
import { typeNames } from '../../src/waypoint/types.ts';
import { modelOfYaml } from '../support/l7.ts';
import { openStream, type Stream } from './stream.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const services = 40;

const yaml = (count: number) =>
  [
    `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: kmesh-waypoint, listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]}
`,
    ...Array.from(
      { length: count },
      (_, n) => `
apiVersion: v1
kind: Service
metadata: {name: s${n}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.${n + 1}, selector: {app: s${n}}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: p${n}, namespace: shop, labels: {app: s${n}}}
status: {podIP: 10.2.0.${n + 1}, phase: Running, conditions: [{type: Ready, status: "True"}]}
`,
    ),
  ].join('---\n');

const clusterOf = (n: number) => `shop/s${n}.shop.svc.cluster.local|80`;
const names = Array.from({ length: services }, (_, n) => clusterOf(n)).sort();

/** One step at a time, with everything else in between. */
async function open() {
  const warnings: object[] = [];
  const log = { info: () => {}, warn: (facts: object) => void warnings.push(facts) };
  const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };
  const server = openWaypointServer({ view, log, limits: { sliceMs: 0 } });
  closing.push(() => server.close());
  const address = await server.listen('127.0.0.1:0');
  const stream = (): Stream => {
    const made = openStream(address);
    closing.push(() => made.close());
    return made;
  };
  return { server, stream, warnings };
}

const ask = { clusters: {}, endpoints: { names }, listeners: {}, routes: { names } } as const;

test('all sorts asked for at once are answered whole', async () => {
  const { server, stream } = await open();
  server.update(modelOfYaml(yaml(services)));
  const it = stream();
  for (const type of [...typeNames].reverse()) it.ask(type, ask[type]);
  await it.until(() => it.got.length === 4);
  expect(new Set(it.got.map(({ type }) => type))).toEqual(new Set(typeNames));
  for (const type of ['clusters', 'endpoints', 'routes'] as const)
    expect([...it.last(type).names].sort()).toEqual(names);
  expect(it.last('listeners').names).toEqual(['waypoint']);
  expect(server.status()).toMatchObject([{ resources: { clusters: services, routes: services, listeners: 1 } }]);
});

test('clusters are told before the rest is made', async () => {
  const { server, stream } = await open();
  server.update(modelOfYaml(yaml(services)));
  const it = stream();
  it.ask('clusters');
  await it.until(() => (server.status()[0]?.resources.clusters ?? 0) > 0, 0);
  expect(server.status()[0]?.resources).toMatchObject({ clusters: services, routes: 0 });
  await it.until(() => server.status()[0]?.resources.routes === services);
  expect(it.got.map(({ type, names: told }) => `${type} ${told.length}`)).toEqual([`clusters ${services}`]);
});

test('a cluster that routes lead past goes again, and where they lead instead comes', async () => {
  const { server, stream } = await open();
  const route = `---
apiVersion: v1
kind: Service
metadata: {name: away, namespace: shop}
spec: {clusterIP: 10.96.1.1, ports: [{name: http, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: past, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: s0}], rules: [{backendRefs: [{name: away, port: 80}]}]}
`;
  server.update(modelOfYaml(yaml(services) + route));
  const it = stream();
  const away = 'shop/away.shop.svc.cluster.local|80';
  const led = [away, ...names.filter((name) => name !== clusterOf(0))].sort();
  it.ask('clusters');
  it.ask('endpoints', { names: [away] });
  const has = () => {
    const all = new Set<string>();
    for (const { type, names: told, removed } of it.got) {
      if (type !== 'clusters') continue;
      for (const name of told) all.add(name);
      for (const name of removed) all.delete(name);
    }
    return [...all].sort();
  };
  await it.until(() => server.status()[0]?.resources.routes === services);
  await it.until(() => has().includes(away) && !has().includes(clusterOf(0)));
  expect(has()).toEqual(led);
  expect(it.last('endpoints').names).toEqual([away]);
  expect(server.status()[0]?.resources).toMatchObject({ clusters: services, endpoints: services, routes: services });
});

test('a model that comes meanwhile is told after the one before it', async () => {
  const { server, stream } = await open();
  server.update(modelOfYaml(yaml(services)));
  const it = stream();
  it.ask('clusters');
  await it.until(() => (server.status()[0]?.resources.clusters ?? 0) > 0, 0);
  server.update(modelOfYaml(yaml(services - 1)));
  expect(server.status()[0]?.resources).toMatchObject({ clusters: services - 1, routes: services - 1 });
  it.ask('endpoints', { names });
  it.ask('routes', { names });
  await it.until(() => it.got.some(({ type }) => type === 'routes'));
  // A cluster that is gone stays until nothing can name it.
  expect(it.last('routes')).toMatchObject({ removed: [clusterOf(services - 1)] });
  expect(it.last('routes').names.length).toBe(services - 1);
});

test('who holds something from before is told of no part before there is the whole', async () => {
  const { server, stream } = await open();
  server.update(modelOfYaml(yaml(services)));
  const it = stream();
  it.ask('clusters', { held: { gone: 'x' } });
  await it.until(() => it.got.length > 0, 0);
  expect(server.status()[0]?.resources).toMatchObject({ clusters: services, routes: services, listeners: 1 });
  expect(it.got[0]?.removed).toEqual(['gone']);
});

test('nobody asks for it any more: it is not made to its end', async () => {
  const { server, stream } = await open();
  server.update(modelOfYaml(yaml(services)));
  const it = stream();
  it.ask('clusters', { waypoint: 'shop/other' });
  await it.until(() => server.status().length > 0, 0);
  it.close();
  await it.until(() => server.status().length === 0);
  const other = stream();
  for (const type of typeNames) other.ask(type, ask[type]);
  await other.until(() => other.got.length === 4);
});

test('what cannot be made to its end is made of the next model', async () => {
  const { server, stream, warnings } = await open();
  const good = modelOfYaml(yaml(services));
  server.update({ ...good, members: undefined } as unknown as Model);
  const it = stream();
  it.ask('clusters');
  it.ask('listeners');
  await it.until(() => warnings.length > 0);
  expect(warnings).toContainEqual(expect.objectContaining({ waypoint: 'shop/waypoint' }));
  const late = stream();
  late.ask('clusters');
  await late.until(() => late.got.length > 0);
  server.update(good);
  await it.until(() => it.got.some(({ type }) => type === 'listeners'));
  await late.until(() => server.status()[0]?.resources.routes === services);
});
