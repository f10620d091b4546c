// SPDX-License-Identifier: Apache-2.0
// What must hold of services behind a stock proxy, whichever it is: the client dials the service's address, the kernel does the rest.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { hashOf } from './bytes.ts';
import { forged } from './forged.ts';
import { address, type ProxyKind, type StockProxy, withProxy } from './kind.ts';
import { openProxyLab, type ProxyLab } from './lab.ts';
import { restarts } from './restarts.ts';

const families = [4, 6] as const;
const hundredMegabytes = 100_000_000;
const identity = 'spiffe://cluster.local/ns/shop/sa/client';

export function proxyContract(kind: ProxyKind): void {
  withProxy(kind, () => {
    let lab: ProxyLab;
    let provoked = { bare: 0, broken: 0 };
    beforeAll(async () => {
      lab = await openProxyLab(kind);
    });
    afterAll(() => lab?.close());
    afterEach(async ({ task }) => {
      if (task.result?.state === 'fail') process.stderr.write(`${lab.explain()}\n`);
      // Whatever else came of a test: nothing went past the proxy, and every connection began with its header.
      expect({ bare: await lab.bare(), broken: await way().broken() }).toEqual(provoked);
    });
    const way = (): StockProxy => lab.proxies['way-1'];

    test.each(families)('it sees the service as local and the client as remote address, IPv%d', async (family) => {
      const host = address('log', family);
      const path = `/seen-${family}`;
      const [asked] = await lab.client.get({ host, port: 80, path });
      expect(asked).toMatchObject({ status: 200, told: { backend: 'v1', path } });
      await lab.node.until(() =>
        way()
          .seen()
          .some((one) => one.path === path),
      );
      const client = lab.node.pod('client');
      expect(
        way()
          .seen()
          .filter((one) => one.path === path),
      ).toEqual([
        {
          path,
          local: [host, 80],
          remote: [family === 4 ? client.address4 : client.address6, asked?.port],
          identity,
        },
      ]);
    });

    test.each(families)('routes by path and by header, IPv%d', async (family) => {
      const host = address('shop', family);
      const reached = async (path: string, headers = {}) => {
        const [asked] = await lab.client.get({ host, port: 80, path, headers });
        return [asked?.status, asked?.told?.backend, asked?.told?.path];
      };
      expect(await reached('/')).toEqual([200, 'v1', '/']);
      expect(await reached('/two/and?more=1')).toEqual([200, 'v2', '/two/and?more=1']);
      expect(await reached('/twofold')).toEqual([200, 'v1', '/twofold']);
      expect(await reached('/', { version: 'two' })).toEqual([200, 'v2', '/']);
      expect(await reached('/', { version: 'one' })).toEqual([200, 'v1', '/']);
    });

    test.each(families)('TLS goes through as it is, by server name, IPv%d', async (family) => {
      const at = { host: address('secure', family), port: 443, root: lab.root };
      // The certificate is the backends': nobody between has its key.
      expect((await lab.client.secure({ ...at, name: 'one.example' })).backend).toBe('v1');
      expect((await lab.client.secure({ ...at, name: 'two.example' })).backend).toBe('v2');
    });

    test.each(families)('gRPC: calls, a failed one, a stream both ways, IPv%d', async (family) => {
      expect(await lab.client.grpc({ host: address('api', family), port: 9090 })).toEqual({
        said: 'v1: hello',
        failed: { code: 5, details: 'v1 has none' },
        chat: [1, 1000, 1_000_000, 5],
      });
    });

    test.each(families)('WebSocket, IPv%d', async (family) => {
      const sizes = [1, 125, 126, 70_000, 1_000_000, 3];
      expect(await lab.client.websocket({ host: address('shop', family), port: 80, sizes })).toBe(true);
    });

    test('100 MB each way', async () => {
      const at = { host: address('shop'), port: 80, bytes: hundredMegabytes };
      const whole = { bytes: hundredMegabytes, hash: hashOf(hundredMegabytes) };
      expect(await lab.client.upload(at)).toMatchObject({ backend: 'v1', ...whole });
      expect(await lab.client.download(at)).toEqual(whole);
    });

    test('many requests on one connection: one connection at the proxy, with one header', async () => {
      const before = await way().connections();
      const n = 500;
      let asked: Awaited<ReturnType<typeof lab.client.get>> = [];
      const counted = await lab.counting(async () => {
        asked = await lab.client.get({ host: address('shop'), port: 80, path: '/kept', times: n });
      });
      expect(asked.filter(({ status, told }) => status === 200 && told?.path === '/kept').length).toBe(n);
      expect(new Set(asked.map(({ port }) => port)).size).toBe(1);
      expect(counted.waypoint).toBe(1);
      expect((await way().connections()) - before).toBe(1);
    });

    test.each(['write', 'writev', 'sendfile', 'splice', 'byte', 'bytes', 'megabyte', 'eagain', 'more', 'small_buffer'])(
      'whatever way the client sends its first bytes: %s',
      async (name) => {
        const code = `
from waypoint_client import *
import http.client
data = blob()
head = f"POST /first HTTP/1.1\\r\\nhost: shop\\r\\nconnection: close\\r\\ncontent-length: {len(data)}\\r\\n\\r\\n"
s = connect(host, 80)
WAYS[name](s, head.encode() + data)
s.setblocking(True)
s.settimeout(60)
answer = http.client.HTTPResponse(s)
answer.begin()
told = json.loads(answer.read())
s.close()
out = [answer.status, told["path"], told["bytes"] == len(data), told["hash"] == hashlib.sha256(data).hexdigest()]`;
        expect(await lab.python.run(code, { name, host: address('shop') })).toEqual([200, '/first', true, true]);
      },
    );

    restarts(() => lab);

    forged(
      kind,
      () => lab,
      (what) => {
        provoked = what;
      },
    );
  });
}
