// SPDX-License-Identifier: Apache-2.0
// A real Envoy told by a real agent: edits of its folder, what Envoy refuses, an agent that ends and comes back, TLS.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { NodeStatus } from '../../src/tasks/waypoint/status.ts';
import { makeCertificates } from '../support/certificates.ts';
import { withEnvoy } from '../support/envoy.ts';
import { type Backend, freePort, openBackend, openProxy, refusedRegex, type WaypointProxy } from '../support/l7.ts';
import { type AgentProcess, type Node, openNode } from '../support/node.ts';

const backends: Backend[] = [];
const closing: (() => unknown)[] = [];
let node: Node;
let agent: AgentProcess;
let proxy: WaypointProxy;

const service = (name: string, ip: string, port: number, more = '') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: ${ip}, ${more} ports: [{name: http, port: 80, targetPort: ${port}, appProtocol: http}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: http, port: ${port}}]
endpoints: [{addresses: [127.0.0.1]}]
---`;

const gateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: kmesh-waypoint, listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]}
status: {addresses: [{type: IPAddress, value: 10.96.9.9}]}
---`;

const route = (name: string, to: string, match = '{path: {value: /}}') => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: ${name}}], rules: [{matches: [${match}], backendRefs: [{name: ${to}, port: 80}]}]}
---`;

const noRegex = `{headers: [{name: a, type: RegularExpression, value: "${refusedRegex}"}]}`;

const portOf = (name: string): number => backends.find((one) => one.name === name)?.port ?? 0;
const services = (more = '') =>
  service('one', '10.96.0.1', portOf('one'), more) + service('two', '10.96.0.2', portOf('two'));

async function reached(path = '/', to = '10.96.0.1'): Promise<string> {
  const reply = await proxy.request({ path, to });
  return reply.seen?.backend ?? String(reply.status);
}

/** What "waypoint status" says of this node. */
async function told(): Promise<NodeStatus> {
  const { code, out, err } = await node.kmeshctl('waypoint', 'status', '--from', 'node', '-o', 'json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  const [first] = (JSON.parse(out) as { nodes: NodeStatus[] }).nodes;
  if (!first) throw new Error(`nobody: ${out}`);
  return first;
}

/** Envoy's counters. */
async function counters(): Promise<ReadonlyMap<string, number>> {
  const lines = (await (await fetch(`http://127.0.0.1:${proxy.admin}/stats`)).text()).split('\n');
  return new Map(lines.map((line) => [line.replace(/: .*/, ''), Number(line.replace(/.*: /, ''))]));
}
const counter = async (name: string): Promise<number> => (await counters()).get(name) ?? 0;

const start = () => node.startAgent({ words: ['--waypoint-ads', '127.0.0.1:0', '--metrics', '127.0.0.1:0'] });

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

withEnvoy('an agent and an Envoy', () => {
  beforeAll(async () => {
    for (const name of ['one', 'two']) backends.push(await openBackend(name));
    node = await openNode('ads', []);
    node.write('mesh.yaml', gateway + services());
    node.write('route.yaml', route('one', 'one'));
    agent = start();
    await node.ready();
    const { waypointAds } = await node.client.status({});
    proxy = await openProxy({ ads: { path: waypointAds?.socket as string }, smallRegex: true });
  });
  afterAll(async () => {
    await proxy?.close();
    await node?.close();
    for (const backend of backends.splice(0)) await backend.close();
  });

  test('an edit of the folder decides where the next requests go', async () => {
    await proxy.until(async () => (await reached()) === 'one', 'told first');
    node.write('route.yaml', route('one', 'two'));
    await proxy.until(async () => (await reached()) === 'two', 'told of the edit');
    const { waypoints, routes } = await told();
    expect(waypoints).toMatchObject([
      {
        waypoint: 'shop/waypoint',
        proxies: [{ id: 'envoy-1', peer: '', way: 'delta' }],
        resources: { listeners: 1, routes: 2 },
        refused: [],
      },
    ]);
    const types = waypoints[0]?.proxies[0]?.types ?? [];
    expect(types.map(({ type, nacks, awaited }) => [type, nacks, awaited]).sort()).toEqual([
      ['clusters', 0, 0],
      ['endpoints', 0, 0],
      ['listeners', 0, 0],
      ['routes', 0, 0],
    ]);
    expect(routes).toEqual([
      {
        kind: 'route',
        route: 'HTTPRoute shop/one',
        parents: [
          {
            parent: 'Service shop/one',
            conditions: expect.arrayContaining([expect.objectContaining({ type: 'Accepted', status: 'True' })]),
          },
        ],
      },
    ]);
    const { out } = await node.kmeshctl('dump', 'config', '--kind', 'route', '--origin', '-o', 'json');
    expect(out).toMatch(/"origin": ?"[^"]*config"/);
  });

  test('what Envoy refuses is shown with its reason; what was good stands, and the rest goes on', async () => {
    node.write('route.yaml', route('one', 'one') + route('two', 'two'));
    await proxy.until(async () => (await reached()) === 'one', 'told');
    node.write('route.yaml', route('one', 'two', noRegex) + route('two', 'one'));
    await proxy.until(async () => (await reached('/', '10.96.0.2')) === 'one', 'told of the other route');
    await node.until(async () => ((await told()).waypoints[0]?.refused.length ?? 0) > 0);
    expect(await reached()).toBe('one');
    const { waypoints } = await told();
    expect(waypoints[0]?.refused).toMatchObject([
      {
        ...{ type: 'routes', name: 'shop/one.shop.svc.cluster.local|80', proxies: ['envoy-1'] },
        ...{
          reason: expect.stringMatching(/google_re2/),
          stands: expect.stringMatching(/^[0-9a-f]{16}$/),
        },
      },
    ]);
    const { out } = await node.kmeshctl('waypoint', 'status', '--from', 'node');
    expect(out).toMatch(/Refused by proxies\n.*\nshop\/waypoint +routes +shop\/one\.shop/);

    // An agent that knows nothing of that finds out anew, and Envoy keeps what it had.
    expect(await agent.end('SIGTERM')).toBe(0);
    expect(await reached()).toBe('one');
    agent = start();
    await node.ready();
    await proxy.until(async () => {
      const [waypoint] = (await told()).waypoints;
      return (waypoint?.refused[0]?.stands ?? '') !== '';
    }, 'refused again');
    expect(await reached()).toBe('one');
    node.write('route.yaml', route('one', 'two') + route('two', 'two'));
    await proxy.until(async () => (await reached()) === 'two', 'mended');
    await node.until(async () => (await told()).waypoints[0]?.refused.length === 0);
  });

  test('a cluster that changes is ready at once, though its endpoints did not change', async () => {
    node.write('route.yaml', route('one', 'one'));
    await proxy.until(async () => (await reached()) === 'one', 'told');
    const first = await counter('cluster_manager.cluster_modified');
    node.write('mesh.yaml', gateway + services('sessionAffinity: ClientIP,'));
    await proxy.until(async () => (await counter('cluster_manager.cluster_modified')) > first, 'modified');
    // Envoy gives up waiting for endpoints after 15 s, and would go on with none.
    await proxy.until(async () => (await counter('cluster_manager.warming_clusters')) === 0, 'ready');
    expect(await reached()).toBe('one');
    expect(await counter('cluster.shop/one_shop_svc_cluster_local|80.init_fetch_timeout')).toBe(0);
    const second = await counter('cluster_manager.cluster_modified');
    node.write('mesh.yaml', gateway + services());
    await proxy.until(async () => (await counter('cluster_manager.cluster_modified')) > second, 'modified back');
  });

  test('an agent that ends and comes back: Envoy serves on, comes back, and is told only what is new', async () => {
    node.write('route.yaml', route('one', 'two'));
    await proxy.until(async () => (await reached()) === 'two', 'told');
    expect(await agent.end('SIGTERM')).toBe(0);
    for (let i = 0; i < 20; i++) expect(await reached()).toBe('two');
    const before = await counters();
    agent = start();
    await node.ready();
    await node.until(async () => (await told()).waypoints[0]?.proxies.length === 1);
    const types = async () => (await told()).waypoints[0]?.proxies[0]?.types ?? [];
    await node.until(async () => (await types()).length === 4);
    expect((await types()).map(({ type, responses, nacks }) => [type, responses, nacks]).sort()).toEqual([
      ['clusters', 0, 0],
      ['endpoints', 0, 0],
      ['listeners', 0, 0],
      ['routes', 0, 0],
    ]);
    const after = await counters();
    expect(after.get('control_plane.connected_state')).toBe(1);
    const taken = [...before].filter(([name]) => name.endsWith('.update_success'));
    expect(taken.length).toBeGreaterThanOrEqual(4);
    for (const [name, count] of taken) expect([name, after.get(name)]).toEqual([name, count]);
    expect(await reached()).toBe('two');
    node.write('route.yaml', route('one', 'one'));
    await proxy.until(async () => (await reached()) === 'one', 'told by the new one');
    expect((await types()).find(({ type }) => type === 'routes')).toMatchObject({ responses: 1, acks: 1 });
  });

  test('a policy that is refused closes what it names; one whose target cannot be read closes nothing, and is loud', async () => {
    const refused = (target: string, rules: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: bad, namespace: shop}
spec: {targetRefs: [${target}], action: DENY, rules: ${rules}}
`;
    const seen = async () => {
      const row = (await told()).routes.find(({ route }) => route === 'AuthorizationPolicy shop/bad');
      return row?.parents.map(({ parent, conditions }) => [parent, conditions[0]?.reason, conditions[0]?.message]);
    };
    node.write('route.yaml', route('one', 'one'));
    await proxy.until(async () => (await reached()) === 'one', 'told');
    try {
      const why = 'its document is refused, and no good version of it is known';
      for (const [target, parent] of [
        ['{}', '? shop/?'],
        ['{kind: Servcie, name: one}', 'Servcie shop/one'],
        ['{kind: Service}', 'Service shop/?'],
      ] as const) {
        node.write('bad.yaml', refused(target, '[{}]'));
        await node.until(async () => (await seen())?.[0]?.[0] === parent);
        expect(await seen()).toEqual([
          [parent, 'InvalidTarget', expect.stringContaining(`it was refused, and closes nothing here: ${why}`)],
        ]);
        const { ready, notReady } = await node.client.ready({});
        expect([ready, notReady.join()]).toEqual([false, expect.stringMatching(/fault/)]);
        const { out } = await node.kmeshctl('waypoint', 'status', '--from', 'node');
        expect(out).toContain('InvalidTarget');
        expect(await reached()).toBe('one');
        const file = join(dirname(node.place.runDir), 'config', 'bad.yaml');
        const checked = await node.kmeshctl('validate', file);
        expect(checked.code).toBe(1);
        expect(checked.out + checked.err).toMatch(/bad\.yaml:4:\d+.* spec\.targetRefs.*NOTHING IS CLOSED/);
        expect(agent.log()).toMatch(/bad\.yaml:4:\d+: AuthorizationPolicy shop\/bad: spec\.targetRefs/);
      }
      node.write('bad.yaml', refused('{group: apps, kind: Service, name: one}', '3'));
      await proxy.until(async () => (await reached()) === '403', 'closed');
      expect(await seen()).toEqual([['Service shop/one', 'Invalid', `it was refused, and denies everything: ${why}`]]);
    } finally {
      node.write('bad.yaml', '');
    }
    await proxy.until(async () => (await reached()) === 'one', 'open again');
    await node.ready();
  });

  test('SIGHUP, metrics and readiness', async () => {
    const address = /"address":"([\d.:]+)"[^\n]*metrics and health/.exec(agent.log())?.[1];
    expect(address).toBeDefined();
    const metrics = await (await fetch(`http://${address}/metrics`)).text();
    expect(metrics).toMatch(/^kmesh_waypoint_proxies 1$/m);
    expect(metrics).toMatch(/^kmesh_waypoint_nacks_total\{type="routes"\} 0$/m);
    expect(metrics).toMatch(/^kmesh_waypoint_acks_total\{type="routes"\} [1-9]/m);
    expect((await fetch(`http://${address}/healthz/ready`)).status).toBe(200);
    agent.child.kill('SIGHUP');
    await node.until(() => agent.log().includes('configuration read again'));
    expect(await reached()).toBe('one');
  });
});

test('--waypoint-ads-require-grants: backends of other namespaces need one', async () => {
  const started = await openNode('adsgrants', []);
  closing.unshift(() => started.close());
  const alone = await started.kmeshctl('agent', '--config', '-', '--waypoint-ads-require-grants');
  expect([alone.code, alone.err]).toEqual([2, expect.stringContaining('needs --waypoint-ads')]);
  const shop = (text: string, of: string) => text.replaceAll('namespace: shop', `namespace: ${of}`);
  const away = shop(service('far', '10.96.0.3', 8080), 'away');
  const grant = `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: away}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: "", kind: Service}]}
`;
  started.write('mesh.yaml', gateway + service('one', '10.96.0.1', 8081) + away);
  started.write('route.yaml', route('one', 'far, namespace: away'));
  const resolved = async () => {
    const { out } = await started.kmeshctl('waypoint', 'status', '--from', 'node', '-o', 'json');
    const [first] = (JSON.parse(out) as { nodes: NodeStatus[] }).nodes;
    const conditions = first?.routes[0]?.parents[0]?.conditions ?? [];
    return conditions.find(({ type }) => type === 'ResolvedRefs')?.reason;
  };
  const open = started.startAgent({ words: ['--waypoint-ads', '127.0.0.1:0'] });
  await started.ready();
  await started.until(async () => (await resolved()) === 'ResolvedRefs');
  expect(await open.end('SIGTERM')).toBe(0);
  const strict = started.startAgent({ words: ['--waypoint-ads', '127.0.0.1:0', '--waypoint-ads-require-grants'] });
  await started.ready();
  await started.until(async () => (await resolved()) === 'RefNotPermitted');
  const told = async () => /^routes +(.*)$/m.exec((await started.kmeshctl('status')).out)?.[1];
  await started.until(async () => (await told())?.startsWith('not all have effect: 1 RefNotPermitted ') === true);
  expect(strict.log()).toMatch(
    /"event":"route_condition","resource":"HTTPRoute shop\/\S+","parent":"Service shop\/one"/,
  );
  started.write('grant.yaml', grant);
  await started.until(async () => (await resolved()) === 'ResolvedRefs');
  await started.until(async () => (await told()) === undefined);
  expect(strict.log()).toContain('"event":"route_condition_over"');
});

withEnvoy('over TLS', () => {
  const open = async (flags: (folder: string) => readonly string[]) => {
    const folder = mkdtempSync(join(tmpdir(), 'km-ads-tls-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    const { root, key, cert } = makeCertificates(folder, 'IP:127.0.0.1');
    const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), root };
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key);
    const port = await freePort();
    const tls = ['--waypoint-ads-tls-cert', files.cert, '--waypoint-ads-tls-key', files.key, ...flags(root)];
    const started = await openNode('adstls', []);
    closing.unshift(() => started.close());
    started.write('mesh.yaml', gateway + services());
    const process = started.startAgent({ words: ['--waypoint-ads', `127.0.0.1:${port}`, ...tls] });
    await started.ready();
    return { started, process, port, files, folder };
  };
  afterEach(async () => {
    for (const backend of backends.splice(0)) await backend.close();
  });

  test('Envoy and agent know each other; certificates are replaced without an end', async () => {
    for (const name of ['one', 'two']) backends.push(await openBackend(name));
    const { started, process, port, files } = await open((root) => ['--waypoint-ads-client-ca', root]);
    const tls = { ca: files.root, cert: files.cert, key: files.key };
    proxy = await openProxy({ ads: { host: '127.0.0.1', port }, tls });
    closing.unshift(() => proxy.close());
    await proxy.until(async () => (await reached()) === 'one', 'told');
    expect((await started.client.status({})).waypointAds).toMatchObject({ tls: 'mutual' });

    const other = mkdtempSync(join(tmpdir(), 'km-ads-other-'));
    closing.push(() => rmSync(other, { recursive: true }));
    const fresh = makeCertificates(other, 'IP:127.0.0.1');
    writeFileSync(files.cert, 'no certificate');
    process.child.kill('SIGHUP');
    await started.until(() => process.log().includes('certificates cannot be used'));
    writeFileSync(files.cert, fresh.cert);
    writeFileSync(files.key, fresh.key);
    process.child.kill('SIGHUP');
    await started.until(() => process.log().includes('certificates are replaced'));
    expect(await reached()).toBe('one');
    // Who comes now is shown the new one, and has to show one as before.
    expect(await greeted(port, fresh.root)).toBe('trusted, then closed');
    expect(await greeted(port, files.root)).toMatch(/certificate|verify/);
  });
});

/** What becomes of a client without a certificate that trusts `root`. */
function greeted(port: number, root: string): Promise<string> {
  return new Promise((resolve) => {
    let trusted = false;
    const ca = readFileSync(root);
    const socket = connect({ ...{ host: '127.0.0.1', port, ca, ALPNProtocols: ['h2'] } }, () => {
      trusted = socket.authorized;
    });
    socket.resume();
    socket.on('error', (error) => resolve(trusted ? 'trusted, then closed' : error.message));
    socket.on('close', () => resolve(trusted ? 'trusted, then closed' : 'closed'));
  });
}
