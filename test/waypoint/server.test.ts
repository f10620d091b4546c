// SPDX-License-Identifier: Apache-2.0
// The server over gRPC: who is turned away, who waits, and what a fault of ours costs.
import { Client, credentials, type StatusObject } from '@grpc/grpc-js';
import protobuf from 'protobufjs/minimal.js';
import { afterEach, expect, test } from 'vitest';
import type { Model } from '../../src/mesh/model.ts';
import { openWaypointServer } from '../../src/waypoint/server.ts';
import { typeUrls } from '../../src/waypoint/types.ts';
import { modelOfYaml } from '../support/l7.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const mesh = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: kmesh-waypoint, listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]}
`;

async function open() {
  const warnings: object[] = [];
  const log = { info: () => {}, warn: (facts: object) => void warnings.push(facts) };
  const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };
  const server = openWaypointServer({ view, log });
  closing.push(() => server.close());
  const address = await server.listen('127.0.0.1:0');
  const client = new Client(address, credentials.createInsecure());
  closing.push(() => client.close());
  const same = (value: Buffer) => value;
  const stream = () => {
    const path = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
    const call = client.makeBidiStreamRequest(path, same, same);
    const got: Buffer[] = [];
    call.on('data', (bytes: Buffer) => void got.push(bytes));
    call.on('error', () => {});
    const ended = new Promise<StatusObject>((resolve) => call.on('status', resolve));
    closing.push(() => call.cancel());
    return { call, got, ended };
  };
  return { server, stream, warnings };
}

const ask = (cluster: string): Buffer => {
  const node = protobuf.Writer.create().uint32(10).string('proxy').uint32(18).string(cluster).finish();
  return Buffer.from(protobuf.Writer.create().uint32(10).bytes(node).uint32(18).string(typeUrls.listeners).finish());
};

async function until(check: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !check(); ) {
    if (Date.now() > end) throw new Error(`never: ${check}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('who asks before there is anything waits for it', async () => {
  const { server, stream } = await open();
  const { call, got } = stream();
  call.write(ask('shop/waypoint'));
  const other = stream();
  other.call.write(Buffer.from([0xff, 0xff]));
  expect(server.totals().streams).toBe(0);
  server.update(modelOfYaml(mesh));
  await until(() => got.length > 0);
  expect(server.status()).toMatchObject([{ waypoint: 'shop/waypoint', proxies: [{ id: 'proxy', way: 'delta' }] }]);
  expect((await other.ended).details).toMatch(/no request/);
});

test.each([
  ['', /node\.cluster must name the waypoint/],
  ['shop', /node\.cluster must name the waypoint/],
  ['Shop/Way', /node\.cluster must name the waypoint/],
  [`${'a'.repeat(300)}/b`, /node\.cluster must name the waypoint/],
])('who is no waypoint is turned away: %s', async (cluster, details) => {
  const { server, stream } = await open();
  server.update(modelOfYaml(mesh));
  const { call, ended } = stream();
  call.write(ask(cluster));
  expect((await ended).details).toMatch(details);
  expect(server.status()).toEqual([]);
  expect(server.totals()).toMatchObject({ streams: 0, ended: { misnamed: 1 } });
});

test('what nobody asks for any more is kept when it is of the mesh, and no other', async () => {
  const { server, stream } = await open();
  server.update(modelOfYaml(mesh));
  for (const name of ['shop/waypoint', 'shop/other']) {
    const { call, got } = stream();
    call.write(ask(name));
    await until(() => got.length > 0);
    call.cancel();
    await until(() => server.status().every(({ proxies }) => proxies.length === 0));
  }
  expect(server.status().map(({ waypoint }) => waypoint)).toEqual(['shop/waypoint']);
});

test('a fault of ours takes nothing from proxies and ends nobody', async () => {
  const { server, stream, warnings } = await open();
  server.update(modelOfYaml(mesh));
  const { call, got } = stream();
  call.write(ask('shop/waypoint'));
  await until(() => got.length === 1);
  server.update({ ...modelOfYaml(mesh), routes: undefined } as unknown as Model);
  expect(warnings).toContainEqual(expect.objectContaining({ waypoint: 'shop/waypoint' }));
  const late = stream();
  late.call.write(ask('shop/late'));
  expect((await late.ended).details).toMatch(/could not be made/);
  expect(server.status()).toMatchObject([{ proxies: [{ id: 'proxy' }], resources: { listeners: 1 } }]);
  server.update(
    modelOfYaml(
      mesh
        .replace('15088', '15089')
        .replace('metadata: {', 'metadata: {annotations: {kmesh.net/waypoint-binding: PROXY/15089}, '),
    ),
  );
  await until(() => got.length === 2);
});
