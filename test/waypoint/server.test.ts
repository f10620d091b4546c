// SPDX-License-Identifier: Apache-2.0
// The server over gRPC: who is turned away, who waits, and what a fault of ours costs.
import { connect } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

const same = (value: Buffer) => value;

async function open(limits = {}) {
  const warnings: object[] = [];
  const log = { info: () => {}, warn: (facts: object) => void warnings.push(facts) };
  const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };
  const server = openWaypointServer({ view, log, limits });
  closing.push(() => server.close());
  const address = await server.listen('127.0.0.1:0');
  const client = new Client(address, credentials.createInsecure());
  closing.push(() => client.close());
  return { server, stream: () => streamOf(client), warnings, address };
}

const deltaPath = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

function streamOf(client: Client) {
  const call = client.makeBidiStreamRequest(deltaPath, same, same);
  const got: Buffer[] = [];
  call.on('data', (bytes: Buffer) => void got.push(bytes));
  call.on('error', () => {});
  const ended = new Promise<StatusObject>((resolve) => call.on('status', resolve));
  closing.push(() => call.cancel());
  return { call, got, ended };
}

const ask = (cluster: string, region = '', names: readonly string[] = []): Buffer => {
  const locality = protobuf.Writer.create().uint32(10).string(region).finish();
  const writer = protobuf.Writer.create().uint32(10).string('proxy').uint32(18).string(cluster);
  const node = writer.uint32(34).bytes(locality).finish();
  const asked = protobuf.Writer.create().uint32(10).bytes(node).uint32(18).string(typeUrls.listeners);
  for (const name of names) asked.uint32(26).string(name);
  return Buffer.from(asked.finish());
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

test('who says to be everywhere is turned away at some point; who is known, or comes by our own socket, is not', async () => {
  const { server, stream, address } = await open({ resources: 3 });
  server.update(modelOfYaml(mesh));
  const inRegion = async (region: string, via = stream) => {
    const { call, got, ended } = via();
    call.write(ask('shop/waypoint', region));
    let details: string | undefined;
    void ended.then((status) => {
      details = status.details;
    });
    await until(() => got.length > 0 || details !== undefined);
    return details ?? '';
  };
  for (let i = 0; i < 16; i++) expect(await inRegion(`r${i}`)).toBe('');
  // One connection may have 16 streams.
  const other = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  closing.push(() => other.close());
  expect(await inRegion('r16', () => streamOf(other))).toMatch(/16 places/);
  expect(await inRegion('r3', () => streamOf(other))).toBe('');
  const path = `unix:${join(tmpdir(), `kmesh-ads-${process.pid}.sock`)}`;
  await server.listen(path);
  const own = new Client(path, credentials.createInsecure());
  closing.push(() => own.close());
  expect(await inRegion('r17', () => streamOf(own))).toBe('');
  expect(server.totals().ended.too_many).toBe(1);
});

test('who asks for many names when all ask for too many is ended; who asks for few goes on', async () => {
  const { server, stream } = await open({ names: 1_000_000 });
  server.update(modelOfYaml(mesh));
  const greedy = [stream(), stream()];
  const names = Array.from({ length: 6000 }, (_, i) => `n${i}`);
  for (const { call } of greedy) call.write(ask('shop/waypoint', '', names));
  await until(() => server.totals().ended.greedy === 1);
  const modest = stream();
  modest.call.write(ask('shop/waypoint'));
  await until(() => modest.got.length === 1);
  expect(server.totals()).toMatchObject({ streams: 3, ended: { greedy: 1 } });
});

test('who does not read is ended when there is too much that nobody reads; who reads goes on', async () => {
  const { server, stream, address } = await open({ unread: 2000 });
  server.update(modelOfYaml(mesh));
  const reader = stream();
  reader.call.write(ask('shop/waypoint'));
  await until(() => reader.got.length === 1);
  const session = connect(`http://${address}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => {});
  closing.push(() => session.destroy());
  for (let i = 0; i < 16; i++) {
    const headers = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const call = session.request({ ...headers, ':path': deltaPath });
    call.on('error', () => {});
    const body = ask('shop/waypoint');
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length, 1);
    call.write(Buffer.concat([head, body]));
  }
  await until(() => server.totals().streams === 17 && server.totals().ended.greedy > 0);
  expect(server.status()[0]?.proxies.length).toBe(17 - server.totals().ended.greedy);
  const other = mesh.replace('metadata: {', 'metadata: {annotations: {kmesh.net/waypoint-binding: PROXY/15089}, ');
  server.update(modelOfYaml(other.replace('15088', '15089')));
  await until(() => reader.got.length === 2);
});

test('of too many connections those go that have no stream, the oldest first; a proxy is served all the same', async () => {
  const { server, stream, warnings, address } = await open({ connections: 4 });
  server.update(modelOfYaml(mesh));
  const asked = stream();
  asked.call.write(ask('shop/waypoint'));
  await until(() => asked.got.length === 1);
  const { hostname: host, port } = new URL(`http://${address}`);
  const ended: number[] = [];
  // They say nothing, or no more than that they speak HTTP/2.
  for (let i = 0; i < 8; i++) {
    const one = i % 2 ? connect(`http://${address}`) : connectTcp(Number(port), host).resume();
    let isOpen = false;
    one.on('connect', () => {
      isOpen = true;
    });
    one.on('error', () => {});
    one.on('close', () => void ended.push(i));
    closing.push(() => one.destroy());
    await until(() => isOpen && ended.length === Math.max(0, i - 2));
  }
  expect(ended).toEqual([0, 1, 2, 3, 4]);
  expect(server.totals().ended.too_many).toBe(5);
  expect(warnings).toHaveLength(5);
  expect(warnings[0]).toMatchObject({ reason: 'too_many', details: expect.stringContaining('no stream for longest') });
  // Another proxy comes, and takes the place of one that is silent.
  const client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  closing.push(() => client.close());
  const other = streamOf(client);
  other.call.write(ask('shop/waypoint'));
  await until(() => other.got.length === 1 && ended.length === 6);
  asked.call.end();
  other.call.end();
  await asked.ended;
});

test('a name is listened at by all of its addresses, and one that is taken is an error', async () => {
  const { server, address } = await open();
  server.update(modelOfYaml(mesh));
  const client = new Client(await server.listen('localhost:0'), credentials.createInsecure());
  closing.push(() => client.close());
  const { call, got } = streamOf(client);
  call.write(ask('shop/waypoint'));
  await until(() => got.length === 1);
  await expect(server.listen(address)).rejects.toThrow('EADDRINUSE');
});
