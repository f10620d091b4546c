// SPDX-License-Identifier: Apache-2.0
// waypoint serve: a folder in, discovery out, and what became of it over HTTP.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { Client, credentials } from '@grpc/grpc-js';
import protobuf from 'protobufjs/minimal.js';
import { afterEach, expect, test } from 'vitest';
import { adminClient } from '../../../src/admin/client.ts';
import type { Env } from '../../../src/env.ts';
import { clearRunDir } from '../../../src/tasks/run-dir.ts';
import { serveWaypoints } from '../../../src/tasks/waypoint/serve.ts';
import { typeUrls } from '../../../src/waypoint/types.ts';
import { freePort } from '../../support/l7.ts';
import { waypointGateway } from '../../support/waypoint-gateway.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const mesh = (host: string) => `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
${waypointGateway}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart}], rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: ${host}}}]}]}
`;

function envOf(signal: AbortSignal, lines: string[]): Env {
  const stderr = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  return {
    ...{ stdin: Readable.from([]), stdout: stderr, stderr, getenv: () => undefined, environ: () => ({}) },
    ...{ now: () => 0, hostname: () => 'n', cwd: () => '/', isRoot: () => false, signal },
  };
}

const placeOf = (folder: string) => ({ bpffs: '', cgroupRoot: '', runDir: join(folder, 'run') });

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; !(await check()); ) {
    if (Date.now() > end) throw new Error('never');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('a folder is served, an edit is told, conditions are shown', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmesh-serve-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'mesh.yaml'), mesh('one.example'));
  const [port, statusPort] = [await freePort(), await freePort()];
  const stop = new AbortController();
  const lines: string[] = [];
  const done = serveWaypoints(envOf(stop.signal, lines), {
    place: placeOf(folder),
    config: [folder],
    listen: { host: '127.0.0.1', port },
    status: { host: '127.0.0.1', port: statusPort },
  });
  closing.push(async () => {
    stop.abort();
    await done;
  });
  await until(() => lines.some((line) => line.includes('waypoints are served')));

  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  closing.push(() => client.close());
  const same = (value: Buffer) => value;
  const call = client.makeBidiStreamRequest(
    '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
    same,
    same,
  );
  call.on('error', () => {});
  const got: string[] = [];
  call.on('data', (bytes: Buffer) => got.push(bytes.toString('latin1')));
  const node = protobuf.Writer.create().uint32(10).string('proxy').uint32(18).string('shop/waypoint').finish();
  const name = 'shop/cart.shop.svc.cluster.local|80';
  const ask = protobuf.Writer.create()
    .uint32(10)
    .bytes(node)
    .uint32(18)
    .string(typeUrls.routes)
    .uint32(26)
    .string(name);
  call.write(Buffer.from(ask.finish()));
  await until(() => got.some((text) => text.includes('one.example')));

  writeFileSync(join(folder, 'mesh.yaml'), mesh('two.example'));
  await until(() => got.some((text) => text.includes('two.example')));

  const told = (await (await fetch(`http://127.0.0.1:${statusPort}/`)).json()) as Record<string, unknown[]>;
  expect(told).toMatchObject({
    waypoints: [{ waypoint: 'shop/waypoint', proxies: [{ id: 'proxy', way: 'delta' }], refused: [] }],
    routes: [{ route: 'HTTPRoute shop/r', parents: [{ conditions: [{ type: 'Accepted', status: 'True' }, {}] }] }],
  });
});

test('SIGHUP reads everything again; socket, health and metrics say how it is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmesh-serve-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'mesh.yaml');
  writeFileSync(config, mesh('one.example'));
  const statusPort = await freePort();
  const stop = new AbortController();
  const lines: string[] = [];
  let hangUp = (): void => {};
  const onHangup = (listener: () => void) => {
    hangUp = listener;
    return () => {};
  };
  const done = serveWaypoints(
    { ...envOf(stop.signal, lines), onHangup },
    {
      place: placeOf(folder),
      // One file by its name is not watched for what else there is.
      config: [config],
      listen: { host: '127.0.0.1', port: 0 },
      status: { host: '127.0.0.1', port: statusPort },
    },
  );
  closing.push(async () => {
    stop.abort();
    await done;
  });
  await until(() => lines.some((line) => line.includes('waypoints are served')));
  const page = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${statusPort}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  expect(await page('/healthz/ready')).toEqual({ status: 200, text: 'ready\n' });
  expect((await page('/metrics')).text).toMatch(/^kmesh_waypoint_proxies 0$/m);
  expect((await page('/elsewhere')).status).toBe(404);
  const client = adminClient(placeOf(folder).runDir, { socket: 'waypoints' });
  expect(await client.ads({})).toMatchObject({ address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), tls: 'none' });
  expect(await client.ready({})).toEqual({ ready: true, notReady: [] });
  await expect(client.status({})).rejects.toMatchObject({ code: 'KM_NOT_FOUND' });

  writeFileSync(config, `${mesh('two.example')}---\napiVersion: v1\nkind: Service\nmetadata: {name: 7}\n`);
  hangUp();
  await until(async () => !(await client.ready({})).ready);
  expect(lines.join('')).toMatch(/"fault":"\S*mesh.yaml:\d+:\d+: [^"]*.*"fault of the configuration"/);
  expect(await page('/healthz/ready')).toMatchObject({ status: 503, text: expect.stringMatching(/has \d+ faults?/) });
  writeFileSync(config, mesh('two.example'));
  expect(await client.reload({})).toMatchObject({ ready: true, faults: [] });
  const routes = [];
  for await (const item of client.waypoints({})) if (item.kind === 'route') routes.push(item.route);
  expect(routes).toEqual(['HTTPRoute shop/r']);
});

test('what a broken document said last is told after a restart, too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmesh-serve-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'config');
  mkdirSync(config);
  writeFileSync(join(config, 'mesh.yaml'), mesh('one.example'));
  const policy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: out, namespace: shop}
spec: {targetRefs: [{group: "", kind: Service, name: cart}], action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}
`;
  writeFileSync(join(config, 'policy.yaml'), policy);
  const statusPort = await freePort();
  const run = async (check: (told: { routes: { route: string }[] }) => boolean) => {
    const stop = new AbortController();
    const lines: string[] = [];
    const done = serveWaypoints(envOf(stop.signal, lines), {
      place: placeOf(folder),
      config: [config],
      listen: { host: '127.0.0.1', port: 0 },
      status: { host: '127.0.0.1', port: statusPort },
    });
    closing.push(() => {
      stop.abort();
      return done;
    });
    await until(() => lines.some((line) => line.includes('waypoints are served')));
    const told = async () => (await (await fetch(`http://127.0.0.1:${statusPort}/`)).json()) as never;
    await until(async () => check(await told()));
    stop.abort();
    await done;
  };
  const hasPolicy = ({ routes }: { routes: { route: string }[] }) =>
    routes.some(({ route }) => route === 'AuthorizationPolicy shop/out');
  await run(hasPolicy);
  // Not UTF-8 any more: nobody can tell that it is a policy.
  writeFileSync(join(config, 'policy.yaml'), Buffer.from([0x23, 0xe9, 0x0a]));
  await run(hasPolicy);
  clearRunDir(join(folder, 'run'));
  expect(existsSync(join(folder, 'run'))).toBe(false);
  await run((told) => told.routes.length > 0 && !hasPolicy(told));
});

test('an address that is taken ends it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kmesh-serve-'));
  closing.push(() => rmSync(folder, { recursive: true }));
  const { signal } = new AbortController();
  const options = { place: placeOf(folder), config: [folder], listen: { host: '192.0.2.1', port: 1 } };
  await expect(serveWaypoints(envOf(signal, []), options)).rejects.toThrow(/cannot listen on 192\.0\.2\.1:1/);
});
