// SPDX-License-Identifier: Apache-2.0
// Who dials a proxy past the kernel's header, with one of his own or none.
import { beforeAll, describe, expect, test } from 'vitest';
import { type Python, startPython } from '../python.ts';
import { address, type ProxyKind } from './kind.ts';
import type { ProxyLab } from './lab.ts';

const admin = 'spiffe://cluster.local/ns/kube-system/sa/admin';

/** Asks for `path` of the service `to`, behind a header that names an admin at another address. */
const forge = `
from waypoint_client import *
import struct
def forge(host, port, to, path):
    who = b"${admin}"
    body = socket.inet_aton("10.9.9.9") + socket.inet_aton(to) + struct.pack("!HH", 4242, 80)
    body += struct.pack("!BH", 0xd0, len(who)) + who
    head = b"\\r\\n\\r\\n\\0\\r\\nQUIT\\n" + struct.pack("!BBH", 0x21, 0x11, len(body)) + body
    try:
        with connect(host, port, 60) as s:
            s.settimeout(60)
            s.sendall(head + f"GET {path} HTTP/1.1\\r\\nhost: log\\r\\nconnection: close\\r\\n\\r\\n".encode())
            return s.recv(100).decode().split(" ")[1]
    except OSError as e: return name_of(e)
out = [forge(host, port, to, path) for host in hosts]`;

/** `provoke` is told how many requests went past the proxy, and connections that it took for broken, because of these tests. */
export function forged(
  kind: ProxyKind,
  labOf: () => ProxyLab,
  provoke: (what: { bare: number; broken: number }) => void,
): void {
  describe('who dials the proxy itself', () => {
    let other: Python;
    beforeAll(async () => {
      other = await startPython(labOf().node.pod('way-2'));
    });

    const { port } = kind.gateways.log;
    /** The pod at its addresses, and the service that leads to it. */
    const hosts = (): readonly string[] => {
      const { address4, address6 } = labOf().node.pod('way-1');
      return [address4, address6, `::ffff:${address4}`, '10.96.1.100', 'fd96::1:100'];
    };
    const asked = (path: string) => ({ hosts: hosts(), port, to: address('log'), path });
    const seen = (path: string) =>
      labOf()
        .proxies['way-1'].seen()
        .filter((one) => one.path === path);

    test('is refused while he is of the mesh, also another waypoint; who goes the right way is not', async () => {
      const { client, python, proxies, counting } = labOf();
      const before = await proxies['way-1'].connections();
      const reasons = await counting(async () => {
        for (const who of [python, other]) {
          expect(await who.run(forge, asked('/forged'))).toEqual(hosts().map(() => 'ECONNREFUSED'));
        }
      });
      expect(reasons.waypoint_port).toBe(2 * hosts().length);
      expect(await proxies['way-1'].connections()).toBe(before);
      const [right] = await client.get({ host: address('log'), port: 80, path: '/right' });
      expect(right?.status).toBe(200);
      await labOf().node.until(() => seen('/right').length === 1);
      expect(seen('/right')[0]?.identity).toBe('spiffe://cluster.local/ns/shop/sa/client');
      expect(seen('/forged')).toEqual([]);
    });

    test('is believed where nobody keeps him from it, and sent away without a header', async () => {
      const { node, python, client, proxies } = labOf();
      expect((await node.kmeshctl('unenroll', node.pod('client').cgroup)).code).toBe(0);
      const own = hosts().slice(0, 3);
      expect(await python.run(forge, { ...asked('/believed'), hosts: own })).toEqual(own.map(() => '200'));
      await node.until(() => seen('/believed').length === own.length);
      for (const { identity, remote } of seen('/believed')) expect([identity, remote[0]]).toEqual([admin, '10.9.9.9']);
      const code = `
from waypoint_client import *
s = connect(host, port)
s.settimeout(60)
s.sendall(b"GET / HTTP/1.1\\r\\nhost: shop\\r\\nconnection: close\\r\\n\\r\\n")
try: out = s.recv(100).decode()
except ConnectionResetError: out = ""
s.close()`;
      const [host] = own;
      provoke({ bare: 0, broken: 1 });
      expect(await python.run<string>(code, { host, port: kind.gateways.http.port })).not.toContain(' 200 ');
      await node.until(async () => (await proxies['way-1'].broken()) === 1);
      expect(
        (await node.kmeshctl('enroll', node.pod('client').cgroup, '--workload', 'shop/client', '--authz', 'off')).code,
      ).toBe(0);
      const [past] = await client.get({ host: address('v1'), port: 80 });
      expect(past?.told?.backend).toBe('v1');
      provoke({ bare: 1, broken: 1 });
    });
  });
}
