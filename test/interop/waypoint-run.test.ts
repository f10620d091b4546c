// SPDX-License-Identifier: Apache-2.0
// `waypoint run` with a real Envoy: services called through the eBPF path are routed by it, and it comes and goes without a trace.
import { execFile } from 'node:child_process';
import { linkSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAlive } from '../../src/demo/lab.ts';
import { bootstrapOf } from '../../src/tasks/waypoint/run-bootstrap.ts';
import { envoyProgram, withEnvoy } from '../support/envoy.ts';
import { startPython } from '../support/python.ts';
import { openRunNode, type RunNode, wayAddress } from '../support/waypoint-run.ts';

let mesh: RunNode;

withEnvoy('waypoint run', () => {
  beforeEach(async () => {
    mesh = await openRunNode();
  });
  afterEach(async () => {
    await mesh.close();
  });

  test('serves what the agent tells, in its own cgroup, and leaves nothing when it is told to stop', async () => {
    const run = mesh.run();
    const ready = await run.ready();
    expect(ready).toMatchObject({ waypoint: 'shop/way', listen: `${wayAddress}:15088`, restarts: 0 });
    expect(await mesh.call(40)).toEqual({ 'cart-1': 40 });
    expect(await mesh.call(40, { path: '/v2' })).toEqual({ 'cart-2': 40 });

    const enrolled = mesh.enrolled().map(({ workload, waypoint = false }) => `${workload} ${waypoint}`);
    expect(enrolled.sort()).toEqual([' true', 'shop/client false']);
    const facts = mesh.process(ready.pid);
    expect(facts).toMatchObject({ uid: 65534, capabilities: 0n, noNewPrivileges: true });
    expect(facts.cgroup).toMatch(/\/kmesh-waypoint-shop\.way$/);

    mesh.route('cart-2');
    await mesh.until(async () => (await mesh.call(1))['cart-2'] === 1);
    // What is a waypoint itself goes to the service's own pods.
    const words = ['exec', '--waypoint', '--workload', 'shop/client', '--netns', mesh.node.pod('client').netns];
    const fetching = "fetch('http://10.96.0.10/').then((r) => r.text()).then((t) => process.stdout.write(t))";
    const called = await mesh.node.kmeshctl(...words, '--authz', 'off', '--', process.execPath, '-e', fetching);
    expect(called).toMatchObject({ code: 0, out: 'cart-1\n' });

    // Envoy has nothing to complain of.
    expect(run.log()).not.toMatch(/\[(?:warning|error|critical)\]/);
    expect(await run.end('SIGTERM')).toBe(0);
    expect(mesh.traces()).toEqual([]);
    expect(mesh.enrolled()).toHaveLength(1);
    expect(await mesh.call(1)).toEqual({ ECONNREFUSED: 1 });
  });

  test('an Envoy that dies under load is started again', async () => {
    const run = mesh.run();
    const { pid } = await run.ready();
    const load = await mesh.load();
    process.kill(pid, 'SIGKILL');
    expect(await run.ready(2)).toMatchObject({ restarts: 1, listen: `${wayAddress}:15088` });
    expect(await mesh.call(20)).toEqual({ 'cart-1': 20 });
    const { answers, errors } = await load.done();
    expect(Object.keys(answers)).toEqual(['cart-1']);
    // Never past the waypoint: who could not be served while it was away was refused or cut off.
    expect(Object.keys(errors).filter((code) => !['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(code))).toEqual([]);
    expect(run.log()).toContain('killed by SIGKILL');
    expect(await run.end('SIGINT')).toBe(0);
    expect(mesh.traces()).toEqual([]);
  });

  test('when it is killed itself, Envoy dies with it, and the next run removes what is left', async () => {
    const first = mesh.run();
    const { pid } = await first.ready();
    const beside = mesh.run();
    expect(await beside.ended).toBe(1);
    expect(beside.log()).toMatch(/"KM_BUSY".*waypoint run way -n shop/);

    await first.end('SIGKILL');
    await mesh.until(() => !isAlive(pid));
    expect(mesh.traces()).not.toEqual([]);
    expect(await mesh.call(1)).toEqual({ ECONNREFUSED: 1 });

    const second = mesh.run();
    await second.ready();
    expect(await mesh.call(10)).toEqual({ 'cart-1': 10 });
    expect(mesh.enrolled()).toHaveLength(2);
    expect(await second.end('SIGTERM')).toBe(0);
    expect(mesh.traces()).toEqual([]);
    expect(mesh.enrolled()).toHaveLength(1);
  });

  test('requests that are under way are finished when it is told to stop', async () => {
    const run = mesh.run('--drain', '60s');
    await run.ready();
    const python = await startPython(mesh.node.pod('client'));
    await python.run(
      "s = socket.create_connection(('10.96.0.10', 80), 30); s.sendall(b'GET / HTTP/1.1\\r\\nhost: cart\\r\\n'); out = 0",
    );
    // Envoy has read the header of the connection, and counts it.
    await mesh.until(async () =>
      (await run.admin('/stats?filter=downstream_cx_active')).includes('waypoint.downstream_cx_active: 1'),
    );
    run.child.kill('SIGTERM');
    await mesh.until(() => run.log().includes('the waypoint ends'));
    const answer = await python.run<string>(
      "s.sendall(b'\\r\\n'); out = ''.join(iter(lambda: s.recv(65536).decode('latin1'), ''))",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n[\s\S]*cart-1/);
    expect(await run.ended).toBe(0);
    expect(mesh.traces()).toEqual([]);
  });

  test('goes on while the agent is away, and follows the next one', async () => {
    const run = mesh.run();
    const { pid } = await run.ready();
    await mesh.agent.end('SIGTERM');
    expect(await mesh.call(10)).toEqual({ 'cart-1': 10 });
    mesh.route('cart-2');
    mesh.node.startAgent({ words: ['--waypoint-ads', '127.0.0.1:0'] });
    await mesh.until(async () => (await mesh.call(1))['cart-2'] === 1);
    expect(isAlive(pid)).toBe(true);
    expect(await run.end('SIGTERM')).toBe(0);
  });

  test('is told by "waypoint serve" where no agent serves waypoints', async () => {
    await mesh.agent.end('SIGTERM');
    await mesh.serve();
    const run = mesh.run();
    expect(await run.ready()).toMatchObject({ listen: `${wayAddress}:15088` });
    expect(await mesh.call(10)).toEqual({ 'cart-1': 10 });
    mesh.route('cart-2');
    await mesh.until(async () => (await mesh.call(1))['cart-2'] === 1);
    expect(await run.end('SIGTERM')).toBe(0);
    expect(mesh.traces()).toEqual([]);
  });

  test('serves where its Gateway is now, while clients of before are still served where it was', async () => {
    const run = mesh.run('--drain', '60s');
    const { pid } = await run.ready();
    const python = await startPython(mesh.node.pod('client'));
    await python.run(
      "s = socket.create_connection(('10.96.0.10', 80), 60); s.sendall(b'GET / HTTP/1.1\\r\\nhost: x\\r\\n'); out = 0",
    );
    await mesh.until(async () =>
      (await run.admin('/stats?filter=downstream_cx_active')).includes('waypoint.downstream_cx_active: 1'),
    );
    mesh.bind('PROXY/15099');
    const next = await run.ready(2);
    expect(next).toMatchObject({ listen: `${wayAddress}:15099`, restarts: 1 });
    await mesh.until(async () => (await mesh.call(1))['cart-1'] === 1);
    expect(await mesh.call(20)).toEqual({ 'cart-1': 20 });
    expect([isAlive(pid), isAlive(next.pid)]).toEqual([true, true]);
    const answer = await python.run<string>(
      "s.sendall(b'\\r\\n'); out = ''.join(iter(lambda: s.recv(65536).decode('latin1'), ''))",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*cart-1/);
    await mesh.until(() => !isAlive(pid));
    expect(await run.admin('/listeners')).toContain('15099');
    expect(await run.end('SIGTERM')).toBe(0);
    expect(mesh.traces()).toEqual([]);
  });

  test('large regular expressions need no field that is deprecated', async () => {
    expect(await takesLargeRegex({})).toBe(false);
    const { layered_runtime } = bootstrapOf({ waypoint: 'shop/way', node: 'n1', listen: ':1' });
    expect(await takesLargeRegex({ layered_runtime })).toBe(true);
    const run = mesh.run();
    await run.ready();
    const { entries } = JSON.parse(await run.admin('/runtime')) as {
      entries: Readonly<Record<string, { readonly final_value: string }>>;
    };
    expect(Number(entries['re2.max_program_size.error_level']?.final_value)).toBe(1e9);
    expect(entries['envoy.deprecated_features:envoy.type.matcher.v3.RegexMatcher.google_re2']?.final_value).toBe(
      'true',
    );
    expect(await run.end('SIGTERM')).toBe(0);
  });

  test('follows the port of its Gateway, and stays where it is when it cannot', async () => {
    const run = mesh.run();
    await run.ready();
    mesh.bind('PROXY/15099');
    expect(await run.ready(2)).toMatchObject({ listen: `${wayAddress}:15099`, restarts: 1 });
    await mesh.until(async () => (await mesh.call(1))['cart-1'] === 1);
    expect(await mesh.call(20)).toEqual({ 'cart-1': 20 });
    expect(run.log()).toContain('the Gateway is elsewhere now');
    mesh.bind('NONE');
    await mesh.until(() => /cannot be followed.*/.test(run.log()));
    expect(run.log()).toMatch(/"reason":"the binding of waypoint shop\/way is NONE/);
    mesh.bind('PROXY/15099');
    await mesh.until(async () => (await mesh.call(1))['cart-1'] === 1);
    await mesh.until(() => run.log().includes('can be followed again'));
    expect(await run.end('SIGTERM')).toBe(0);
    expect(mesh.traces()).toEqual([]);
  });

  test('the next run waits for one that ends', async () => {
    const run = mesh.run('--drain', '60s');
    await run.ready();
    const python = await startPython(mesh.node.pod('client'));
    await python.run(
      "s = socket.create_connection(('10.96.0.10', 80), 30); s.sendall(b'GET / HTTP/1.1\\r\\n'); out = 0",
    );
    await mesh.until(async () =>
      (await run.admin('/stats?filter=downstream_cx_active')).includes('waypoint.downstream_cx_active: 1'),
    );
    run.child.kill('SIGTERM');
    await mesh.until(() => run.log().includes('the waypoint ends'));
    const next = mesh.run();
    await mesh.until(() => next.log().includes('waits for the run before, which ends'));
    await python.run('s.close(); out = 0');
    expect(await run.ended).toBe(0);
    await next.ready();
    expect(await mesh.call(10)).toEqual({ 'cart-1': 10 });
    expect(await next.end('SIGTERM')).toBe(0);
    expect(mesh.traces()).toEqual([]);
  });

  test('an Envoy that only root gets at, on a low port, that nobody starts again', async () => {
    const folder = mkdtempSync(join(dirname(envoyProgram), 'closed-'));
    try {
      const hidden = join(folder, 'envoy');
      linkSync(envoyProgram, hidden);
      const run = mesh.run('--proxy', hidden, '--listen', `${wayAddress}:81`, '--no-restart');
      const { pid, listen } = await run.ready();
      expect(listen).toBe(`${wayAddress}:81`);
      // CAP_NET_BIND_SERVICE, and nothing else.
      expect(mesh.process(pid)).toMatchObject({ uid: 65534, capabilities: 1n << 10n });
      process.kill(pid, 'SIGKILL');
      expect(await run.ended).toBe(128 + 9);
      expect(mesh.traces()).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('is its own control plane with --config', async () => {
    const run = mesh.run('--config', mesh.config);
    await run.ready();
    mesh.route('cart-2');
    await mesh.until(async () => (await mesh.call(1))['cart-2'] === 1);
    expect(await run.end('SIGTERM')).toBe(0);
    expect(mesh.traces()).toEqual([]);
  });
});

/** What Envoy says of a route with such an expression that does not say how large it may be. */
function takesLargeRegex(more: object): Promise<boolean> {
  const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.${name}`;
  const route = { match: { safe_regex: { regex: '(?:abcdef){400}' } }, direct_response: { status: 200 } };
  const manager = {
    '@type': type('network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'x',
    http_filters: [{ name: 'router', typed_config: { '@type': type('http.router.v3.Router') } }],
    route_config: { virtual_hosts: [{ name: 'x', domains: ['*'], routes: [route] }] },
  };
  const listener = {
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [{ filters: [{ name: 'http', typed_config: manager }] }],
  };
  const config = JSON.stringify({ ...more, static_resources: { listeners: [listener] } });
  return new Promise((resolve) => {
    execFile(envoyProgram, ['--mode', 'validate', '--config-yaml', config], (error) => resolve(error === null));
  });
}
