// SPDX-License-Identifier: Apache-2.0
// TCP through service addresses: every family, what the application sees, and who is left alone.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { endpoint, type ServiceSpec } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let stranger: Python;

beforeAll(async () => {
  mesh = await openMesh(['client', 'stranger', 'a', 'b', 'decoy']);
  await mesh.serve('a', 'tcp/8080', 'udp/8080');
  await mesh.serve('b', 'tcp/8080', 'udp/8080');
  // Stands at the service address itself: who is left alone ends there.
  await mesh.serve('decoy', 'tcp/80', 'tcp/81', 'udp/80');
  await mesh.enroll('client');
  client = await mesh.python('client');
  stranger = await mesh.python('stranger');
});
afterAll(() => mesh?.close());

const a4 = () => endpoint(mesh.pod('a'), 8080);
const a6 = () => endpoint(mesh.pod('a'), 8080, 1, 6);

test.each([
  ['IPv4', '10.96.0.1', '10.96.0.1', 4],
  ['IPv6', 'fd96::1', 'fd96::1', 6],
  ['an IPv6 socket that dials v4-mapped', '::ffff:10.96.0.1', '::ffff:10.96.0.1', 4],
  ['IPv6 to a workload that has IPv4 only', 'fd96::2', 'fd96::2', 4],
] as const)('%s: reaches an endpoint, and getpeername shows the service', async (_what, host, peer, family) => {
  await mesh.want(
    { name: 'v4', at: ['10.96.0.1:80'], endpoints: [a4()] },
    { name: 'v6', at: ['[fd96::1]:80'], endpoints: [a6()] },
    { name: 'mapped', at: ['[fd96::2]:80'], endpoints: [a4()] },
  );
  const seen = await client.run(
    'with dial(host, 80) as s: out = {"who": first_line(s), "peer": list(s.getpeername()[:2]), "source": echo(s, "who")}',
    { host },
  );
  const { address4, address6 } = mesh.pod('client');
  expect(seen).toEqual({
    who: 'a 8080',
    peer: [peer, 80],
    // The server sees the pod itself: nothing stands in between.
    source: `a 8080 ${family === 4 ? `::ffff:${address4}` : address6}`,
  });
});

test('an IPV6_V6ONLY socket reaches IPv6 endpoints and is refused those it cannot reach', async () => {
  await mesh.want(
    { name: 'v6', at: ['[fd96::1]:80'], endpoints: [a6()] },
    { name: 'mapped', at: ['[fd96::2]:80'], endpoints: [a4()] },
  );
  const code = `
def only6(host):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.connect((host, 80))
        return first_line(s)
out = [only6("fd96::1"), failure(lambda: only6("fd96::2"))]`;
  const [who, error] = await client.run<[string, string]>(code);
  expect(who).toBe('a 8080');
  expect(['ECONNREFUSED', 'ENETUNREACH']).toContain(error);
});

test('an IPv4 socket is refused a service that has IPv6 endpoints only, and the reason says so', async () => {
  await mesh.want({ name: 'v6', at: ['10.96.0.1:80'], endpoints: [a6()] });
  const { value, reasons } = await mesh.counting(() => client.run('out = failure(lambda: call("10.96.0.1", 80))'));
  expect(value).toBe('ECONNREFUSED');
  expect(reasons).toMatchObject({ family: 1 });
});

test('a socket bound to an address or a device is balanced like any other', async () => {
  await mesh.want({ name: 'v4', at: ['10.96.0.1:80'], endpoints: [a4()] });
  const code = `
def bound(prepare):
    with socket.socket() as s:
        s.settimeout(3)
        prepare(s)
        s.connect(("10.96.0.1", 80))
        return [first_line(s), s.getsockname()[0], s.getpeername()[0]]
out = [bound(lambda s: s.bind((own, 0))), bound(lambda s: s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"eth0"))]`;
  const own = mesh.pod('client').address4;
  const each = ['a 8080', own, '10.96.0.1'];
  expect(await client.run(code, { own })).toEqual([each, each]);
});

test('a non-blocking connect ends well', async () => {
  await mesh.want({ name: 'v4', at: ['10.96.0.1:80'], endpoints: [a4()] });
  const code = `
import select
with socket.socket() as s:
    s.setblocking(False)
    started = s.connect_ex(("10.96.0.1", 80))
    select.select([], [s], [], 3)
    ended = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    s.settimeout(3)
    out = [errno.errorcode[started], ended, first_line(s), s.getpeername()[0]]`;
  expect(await client.run(code)).toEqual(['EINPROGRESS', 0, 'a 8080', '10.96.0.1']);
});

test('TCP and UDP of the same number lead to different services', async () => {
  await mesh.want(
    { name: 'tcp', at: ['10.96.0.1:80'], endpoints: [a4()] },
    { name: 'udp', at: ['10.96.0.1:80'], protocol: 'udp', endpoints: [endpoint(mesh.pod('b'), 8080)] },
  );
  expect(await client.run('out = [call("10.96.0.1", 80), ask("10.96.0.1", 80)["who"]]')).toEqual(['a', 'b']);
});

test('ports of one address lead to services of their own, as many as there are', async () => {
  const ports = Array.from({ length: 200 }, (_, i) => 1000 + i);
  const services = ports.map(
    (port): ServiceSpec => ({
      name: `port-${port}`,
      at: [`10.96.0.1:${port}`],
      endpoints: [endpoint(mesh.pod(port % 2 ? 'b' : 'a'), 8080)],
    }),
  );
  await mesh.want(...services);
  const who = await client.run('out = [call("10.96.0.1", port) for port in ports]', { ports });
  expect(who).toEqual(ports.map((port) => (port % 2 ? 'b' : 'a')));
});

test('unknown destinations are left alone: other ports, other addresses, headless pods by their own address', async () => {
  const decoy = mesh.pod('decoy').address4;
  await mesh.want({ name: 'shadow', at: [`${decoy}:80`], endpoints: [a4()] });
  const { value, reasons } = await mesh.counting(() =>
    client.run('out = [call(decoy, 80), call(decoy, 81), call(b, 8080)]', { decoy, b: mesh.pod('b').address4 }),
  );
  expect(value).toEqual(['a', 'decoy', 'b']);
  expect(reasons).toMatchObject({ balanced: 1, unknown_destination: 2 });
});

test('a service that asks to be passed through is left alone, endpoints or not', async () => {
  const decoy = mesh.pod('decoy').address4;
  await mesh.want({ name: 'through', at: [`${decoy}:80`], passthrough: true, endpoints: [a4()] });
  const { value, reasons } = await mesh.counting(() =>
    client.run('with dial(decoy, 80) as s: out = [first_line(s), s.getpeername()[0]]', { decoy }),
  );
  expect(value).toEqual(['decoy 80', decoy]);
  expect(reasons).toMatchObject({ passthrough: 1 });
});

test('processes that are not enrolled are left alone', async () => {
  const { address4: decoy, address6: decoy6 } = mesh.pod('decoy');
  await mesh.want(
    { name: 'shadow', at: [`${decoy}:80`, `[${decoy6}]:80`], endpoints: [a4()] },
    { name: 'udp', at: [`${decoy}:80`], protocol: 'udp', endpoints: [a4()] },
  );
  const code = 'out = [call(decoy, 80), call(decoy6, 80), ask(decoy, 80)["who"]]';
  const { value, reasons } = await mesh.counting(() => stranger.run(code, { decoy, decoy6 }));
  expect(value).toEqual(['decoy', 'decoy', 'decoy']);
  expect(reasons).not.toHaveProperty('balanced');
  expect(reasons).not.toHaveProperty('unknown_destination');
});

test('an enrolment that ends, ends with the next connect; connections stay', async () => {
  const decoy = mesh.pod('decoy').address4;
  await mesh.want({ name: 'shadow', at: [`${decoy}:80`], endpoints: [a4()] });
  await mesh.enroll('stranger');
  expect(await stranger.run('s = dial(decoy, 80); out = first_line(s)', { decoy })).toBe('a 8080');
  await mesh.unenroll('stranger');
  expect(await stranger.run('out = [call(decoy, 80), echo(s, "still")]', { decoy })).toEqual(['decoy', 'a 8080 still']);
});

test('a pod that is an endpoint of the service it calls may answer itself', async () => {
  const self = endpoint(mesh.pod('client'), 8080);
  const server = await mesh.serve('client', 'tcp/8080', 'udp/8080');
  await mesh.want(
    { name: 'self', at: ['10.96.0.1:80', '[fd96::1]:80'], endpoints: [self] },
    { name: 'self-udp', at: ['10.96.0.1:80'], protocol: 'udp', endpoints: [self] },
  );
  const code = 'out = [call("10.96.0.1", 80), call("fd96::1", 80), ask("10.96.0.1", 80), call("127.0.0.1", 8080)]';
  expect(await client.run(code)).toEqual([
    'client',
    'client',
    { who: 'client', host: '10.96.0.1', port: 80 },
    'client',
  ]);
  await mesh.until(() => mesh.active('client') === 0);
  await server.stop();
});

test('accepted sockets of enrolled servers show their real peer', async () => {
  await mesh.enroll('stranger');
  await mesh.want({ name: 'back', at: ['10.96.0.7:80'], endpoints: [endpoint(mesh.pod('stranger'), 7000)] });
  const listen = `
l = socket.socket(socket.AF_INET6); l.bind(("::", 7000)); l.listen()
def accept():
    global peer
    s, _ = l.accept(); peer = [s.getpeername()[0], s.getsockname()[0]]; s.sendall(b"stranger 7000\\n"); s.close()
t = threading.Thread(target=accept); t.start()`;
  await stranger.run(listen);
  expect(await client.run('out = call("10.96.0.7", 80)')).toBe('stranger');
  const { address4 } = mesh.pod('stranger');
  expect(await stranger.run('t.join(); l.close(); out = peer')).toEqual([
    `::ffff:${mesh.pod('client').address4}`,
    `::ffff:${address4}`,
  ]);
  await mesh.unenroll('stranger');
});
