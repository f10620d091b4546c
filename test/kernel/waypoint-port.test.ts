// SPDX-License-Identifier: Apache-2.0
// Ports where waypoints read a header: who gets none written cannot dial them, however he goes about it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { settingFlag } from '../../src/abi/structs.ts';
import { type Mesh, openMesh } from '../support/mesh.ts';
import type { Python } from '../support/python.ts';
import { through, type Via } from '../support/via.ts';
import { endpoint, type ServiceSpec } from '../support/wanted.ts';

let mesh: Mesh;
let client: Python;
let way: Python;
let other: Python;
const way4 = '10.0.0.2';
const way6 = 'fd00::2';

/** Who says so to the waypoint, and what it takes him for. */
const FORGE = `
from waypoint_client import *
import struct
SIGNATURE = b"\\r\\n\\r\\n\\0\\r\\nQUIT\\n"
ADMIN = b"spiffe://cluster.local/ns/kube-system/sa/admin"
def forged():
    body = socket.inet_aton("10.9.9.9") + socket.inet_aton("10.96.0.1") + struct.pack("!HH", 4242, 80)
    body += struct.pack("!BH", 0xd0, len(ADMIN)) + ADMIN
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(body)) + body
def said(s):
    with s: return short(s, forged() + b"x")["header"]
def forge(host, port=15088, scope=0, **more):
    """Who the waypoint takes the caller for, or the name of the error."""
    try:
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, **more)
        s.settimeout(20)
        s.connect((host, port, 0, scope) if ":" in host else (host, port))
        return said(s).get("parts", {}).get("d0")
    except OSError as e: return name_of(e)
`;
const admin = 'spiffe://cluster.local/ns/kube-system/sa/admin';
const refused = 'ECONNREFUSED';

beforeAll(async () => {
  mesh = await openMesh(['client', 'way', 'other', 'a']);
  await mesh.serve('a', 'tcp/8080');
  client = await mesh.python('client');
  way = await mesh.python('way');
  other = await mesh.python('other');
  await way.run('from waypoint_server import Waypoint; proxy = Waypoint(15088); near = Waypoint(15024)');
  for (const pod of [client, way, other]) await pod.run(FORGE);
  await mesh.enroll('client');
});
afterAll(() => mesh?.close());

const kept = [`${way4}:15088`, `[${way6}]:15088`, '[fe80::]:15088', '[::1]:15088'];

beforeEach(async () => {
  await mesh.want();
  await mesh.keep(...kept);
});

const toWay = (family: 4 | 6 = 4, port = 15088) => [endpoint(mesh.pod('way'), port, 1, family)];
const code = 'out = forge(host, port)';

/** What comes of it where the ports are kept, and where they are not. */
async function both(host: string, port = 15088) {
  const { value, reasons } = await mesh.counting(() => client.run(code, { host, port }));
  await mesh.keep();
  const open = await client.run(code, { host, port });
  await mesh.keep(...kept);
  return { kept: value, open, refusals: reasons.waypoint_port ?? 0, balanced: reasons.balanced ?? 0 };
}

const closed = { kept: refused, open: admin, refusals: 1, balanced: 0 };

test.each([way4, way6, `::ffff:${way4}`])('the address and port itself: %s', async (host) => {
  expect(await both(host)).toEqual(closed);
});

describe('a service that leads there', () => {
  const cases: readonly (readonly [what: string, host: string, service: Partial<ServiceSpec>])[] = [
    ['by IPv4', '10.96.0.9', { at: ['10.96.0.9:80'] }],
    ['by IPv6', 'fd96::9', { at: ['[fd96::9]:80'] }],
    ['by IPv6 to IPv4', 'fd96::9', { at: ['[fd96::9]:80'] }],
    ['by a range', '10.97.3.4', { at: ['10.97.0.0/16:80'] }],
    ['by namespace', '10.96.0.9', { at: ['10.96.0.9:80'], visibleTo: ['shop'] }],
    ['by round robin', '10.96.0.9', { at: ['10.96.0.9:80'], policy: 'round-robin' }],
    ['by source hash', '10.96.0.9', { at: ['10.96.0.9:80'], policy: 'source-hash' }],
    ['by affinity', '10.96.0.9', { at: ['10.96.0.9:80'], affinitySeconds: 60 }],
  ];
  test.each(cases)('%s', async (what, host, service) => {
    const endpoints = toWay(host.includes(':') && what !== 'by IPv6 to IPv4' ? 6 : 4);
    await mesh.want({ name: 's', at: [], ...service, endpoints });
    expect(await both(host, 80)).toEqual(closed);
  });
});

describe('a destination that is left alone', () => {
  const at = [`${way4}:15088`];
  const none = { name: 's', at, endpoints: [] };
  const cases: readonly (readonly [string, ServiceSpec])[] = [
    ['not balanced', { ...none, passthrough: true }],
    ['direct while it has no endpoint', { ...none, emptyDirect: true }],
    ["of another namespace's service", { ...none, visibleTo: ['others'] }],
    ['of a range', { ...none, at: [`${way4}/32:15088`], passthrough: true }],
    ['of all ports', { ...none, at: [`${way4}:0`], passthrough: true }],
  ];
  test.each(cases)('%s', async (_, service) => {
    await mesh.want(service);
    expect(await both(way4)).toEqual(closed);
  });
});

test('an address that another balancer would lead there: kept by itself', async () => {
  await mesh.want({ name: 's', at: ['10.96.0.9:15088'], endpoints: toWay(), visibleTo: ['others'] });
  await mesh.keep(...kept, '10.96.0.9:15088');
  const { value, reasons } = await mesh.counting(() => client.run(code, { host: '10.96.0.9', port: 15088 }));
  expect(value).toBe(refused);
  expect(reasons).toEqual({ waypoint_port: 1 });
});

test("an address of the link's own", async () => {
  for (const [name, pod] of [
    ['client', client],
    ['way', way],
  ] as const) {
    const n = mesh.pod(name).address4.split('.').at(-1);
    await pod.run(
      'import subprocess; subprocess.run(["ip", "addr", "add", f"fe80::{n}/64", "dev", "eth0", "nodad"], check=True)',
      { n },
    );
  }
  const dial = 'out = forge("fe80::2", port, socket.if_nametoindex("eth0"))';
  expect(await client.run(dial, { port: 15088 })).toBe(refused);
  expect(await client.run(dial, { port: 15024 })).toBe(admin);
  await mesh.keep();
  expect(await client.run(dial, { port: 15088 })).toBe(admin);
});

describe("a network's own addresses", () => {
  const own = ['127.0.0.1', '127.8.8.8', '0.0.0.0', '::1', '::', '::ffff:127.0.0.1'];
  const dial = 'out = [forge(host) for host in own]';
  const open = own.map(() => admin);
  const shut = own.map(() => refused);
  const asked = () => other.run(dial, { own });
  beforeAll(() => other.run('from waypoint_server import Waypoint; proxy = Waypoint(15088)'));
  afterAll(() => mesh.unenroll('other'));

  test("are a pod's own, unless it is a waypoint itself", async () => {
    await mesh.enroll('other');
    expect(await asked()).toEqual(open);
    await mesh.keep(...kept, '[::1]:15088 node');
    expect(await asked()).toEqual(open);
    await mesh.enroll('other', { waypoint: true });
    expect(await asked()).toEqual(shut);
    await mesh.keep(...kept);
    expect(await asked()).toEqual(shut);
    await mesh.keep();
    expect(await asked()).toEqual(open);
  });

  test("are the node's, for who may be in its network, where a waypoint is there", async () => {
    for (const options of [{ workload: '' }, { hostNetwork: true }] as const) {
      await mesh.enroll('other', options);
      await mesh.keep(...kept);
      expect(await asked()).toEqual(open);
      await mesh.keep(...kept, '[::1]:15088 node');
      expect(await asked()).toEqual(shut);
    }
  });
});

test('a port that the filter takes for one of them', async () => {
  expect(await both(way4, 15024)).toEqual({ kept: admin, open: admin, refusals: 0, balanced: 0 });
});

test.each([way4, way6])('other ways to connect; %s', async (host) => {
  const ways = `
family = socket.AF_INET6 if ":" in host else socket.AF_INET
open("/proc/sys/net/ipv4/tcp_fastopen", "w").write("1")
def by_sendto():
    with socket.socket(family) as s: s.sendto(forged(), 0x20000000, (host, 15088))
def by_option():
    with socket.socket(family) as s:
        s.setsockopt(socket.IPPROTO_TCP, 30, 1)
        s.connect((host, 15088))
        s.sendall(forged())
def at_once():
    with socket.socket(family) as s:
        s.setblocking(False)
        s.connect((host, 15088))
def bound():
    with socket.socket(family) as s:
        s.bind(("::" if ":" in host else "0.0.0.0", 0))
        s.connect((host, 15088))
def multi():
    with socket.socket(family, proto=262) as s: s.connect((host, 15088))
out = [failure(f) for f in (by_sendto, by_option, at_once, bound, multi)]`;
  const { value, reasons } = await mesh.counting(() => client.run(ways, { host }));
  expect(value).toEqual(Array(5).fill(refused));
  expect(reasons.waypoint_port).toBe(5);
});

test('a socket that was refused goes elsewhere, and says where', async () => {
  await mesh.want(
    { name: 's', at: ['10.96.0.9:80'], endpoints: toWay() },
    { name: 'a', at: ['10.96.0.8:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] },
  );
  const again = `
s = socket.socket()
first = failure(lambda: s.connect(("10.96.0.9", 80)))
lost = failure(s.getpeername)
s.connect(("10.96.0.8", 80))
second = list(s.getpeername())
s.close()
out = [first, lost, second]`;
  expect(await client.run(again)).toEqual([refused, 'ENOTCONN', ['10.96.0.8', 80]]);
  expect(mesh.active('way')).toBe(0);
});

test('a connection that is there already stays, its socket does not come back', async () => {
  await mesh.keep();
  await client.run('held = socket.create_connection((host, 15088))', { host: way4 });
  await mesh.keep(...kept);
  const use = `
who = short(held, forged() + b"x")["header"]["parts"]["d0"]
out = [who, forge(host)]`;
  expect(await client.run(use, { host: way4 })).toEqual([admin, refused]);
});

describe('through a waypoint', () => {
  const via = (more: Partial<Via> = {}, port = 15088) =>
    mesh.want(
      ...through(
        [
          { name: 's', at: ['10.96.0.1:80', '[fd96::1]:80'], endpoints: [endpoint(mesh.pod('a'), 8080)] },
          { name: 'w', at: [], endpoints: toWay(4, port) },
        ],
        { service: 's', waypoint: 'w', ...more },
      ),
    );

  test.each(['10.96.0.1', 'fd96::1'])(
    'a header is written: as ever, and what is forged is no header; %s',
    async (host) => {
      await via();
      const { value, reasons } = await mesh.counting(() => client.run('out = said(connect(host, 80))', { host }));
      expect(value).toMatchObject({ kind: 'proxy', parts: { d0: 'spiffe://cluster.local/ns/shop/sa/client' } });
      expect(reasons.waypoint_port).toBeUndefined();
    },
  );

  test('none is written: refused, as another waypoint at that port says that it reads one', async () => {
    await via({ header: 'none' });
    const { value, reasons } = await mesh.counting(() => client.run(code, { host: '10.96.0.1', port: 80 }));
    expect(value).toBe(refused);
    expect(reasons).toEqual({ waypoint_port: 1 });
  });

  test('from PROXY to NONE and back', async () => {
    const dial = 'out = [forge("10.96.0.1", 80), forge(host)]';
    const own = 'spiffe://cluster.local/ns/shop/sa/client';
    await via();
    expect(await client.run(dial, { host: way4 })).toEqual([own, refused]);
    await mesh.keep();
    await via({ header: 'none' });
    expect(await client.run(dial, { host: way4 })).toEqual([admin, admin]);
    await mesh.keep(...kept);
    await via();
    expect(await client.run(dial, { host: way4 })).toEqual([own, refused]);
  });

  test('another port, and the old one is free', async () => {
    await mesh.keep(`${way4}:15024`);
    await via({}, 15024);
    expect(await client.run('out = [forge(host), forge(host, 15024)]', { host: way4 })).toEqual([admin, refused]);
  });
});

test('neither the waypoint itself nor another one may: others could ask it to', async () => {
  await mesh.enroll('way', { waypoint: true });
  await mesh.enroll('other', { waypoint: true });
  for (const host of [way4, way6, `::ffff:${way4}`, '127.0.0.1', '::']) {
    for (const pod of [way, other]) expect(await pod.run(code, { host, port: 15088 }), host).toBe(refused);
  }
  await mesh.unenroll('way');
  await mesh.unenroll('other');
});

test('who is not enrolled is not asked', async () => {
  const { value, reasons } = await mesh.counting(() => other.run(code, { host: way4, port: 15088 }));
  expect(value).toBe(admin);
  expect(reasons.waypoint_port).toBeUndefined();
});

test('datagrams go there', async () => {
  await way.run(`
d = socket.socket(type=socket.SOCK_DGRAM)
d.bind(("0.0.0.0", 15088))
d.settimeout(20)`);
  const { reasons } = await mesh.counting(async () => {
    const send = `
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.sendto(b"a", (host, 15088))
    s.connect((host, 15088))
    s.send(b"b")`;
    await client.run(send, { host: way4 });
    expect(await way.run('out = (d.recv(9) + d.recv(9)).decode(); d.close()')).toBe('ab');
  });
  expect(reasons.waypoint_port).toBeUndefined();
});

test('no room for all of them: every port that the filter has is closed, whatever the address', async () => {
  const setting = mesh.plane.map('setting').get(0);
  if (!setting) throw new Error('no setting');
  mesh.plane.map('setting').put([[0, { ...setting, flags: setting.flags | settingFlag.portsFull }]]);
  try {
    expect(
      await client.run('out = [forge(host), forge(host, 15024), failure(lambda: dial(a, 8080))]', {
        host: way4,
        a: mesh.pod('a').address4,
      }),
    ).toEqual([refused, refused, '']);
  } finally {
    mesh.plane.map('setting').put([[0, setting]]);
  }
});
