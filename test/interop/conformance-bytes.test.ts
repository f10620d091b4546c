// SPDX-License-Identifier: Apache-2.0
// What HTTP/1 may look like on the wire: a service behind a waypoint answers as it does without one.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorld, type World } from '../support/conformance/world.ts';
import { withEnvoy } from '../support/envoy.ts';

interface Line {
  readonly says: string;
  readonly send: readonly string[];
  /** What the answer ends with; default: what the pod saw, as JSON. */
  readonly end?: string;
  /** In this order, each somewhere behind the one before. */
  readonly gets: readonly string[];
}

const host = 'host: cart';
const close = 'connection: close';
const ok = 'HTTP/1.1 200 OK\r\n';
const end = '\r\n\r\n';

const table: readonly Line[] = [
  { says: 'HTTP/1.0', send: ['GET /old HTTP/1.0', host], gets: [' 200 OK\r\n', '"path":"/old"', '"host":"cart"'] },
  {
    says: 'HTTP/1.0 without a host: that of the service',
    send: ['GET /older HTTP/1.0'],
    gets: [' 200 OK\r\n', '"path":"/older"', '"host":"v1.shop.svc.cluster.local"'],
  },
  { says: 'an absolute URI', send: ['GET http://cart/abs?a=b HTTP/1.1', host, close], gets: [ok, '"path":"/abs?a=b"'] },
  {
    says: 'a body of length 0',
    send: ['POST /zero HTTP/1.1', host, close, 'content-length: 0'],
    gets: [ok, '"method":"POST"', '"sent":""'],
  },
  {
    says: 'a body in chunks',
    send: ['POST /chunks HTTP/1.1', host, close, 'transfer-encoding: chunked', '', '3', 'abc', '3', 'def', '0'],
    gets: [ok, '"sent":"abcdef"'],
  },
  {
    says: 'a body that waits for a word',
    send: ['POST /wait HTTP/1.1', host, close, 'content-length: 2', 'expect: 100-continue', '', 'ok'],
    gets: [`HTTP/1.1 100 Continue${end}`, ok, '"sent":"ok"'],
  },
  {
    says: 'two requests at once, answered in order',
    send: ['GET /first HTTP/1.1', host, '', 'GET /second HTTP/1.1', host, close],
    end: '"path":"/second"',
    gets: [ok, '"path":"/first"', ok],
  },
  {
    says: 'HEAD: the length of what does not come',
    send: ['HEAD /head HTTP/1.1', host, close],
    end,
    gets: [ok, 'content-length: '],
  },
  { says: '204', send: ['GET /no-content HTTP/1.1', host, close], end, gets: ['HTTP/1.1 204 ', 'x-pod: v1'] },
  { says: '304', send: ['GET /not-modified HTTP/1.1', host, close], end, gets: ['HTTP/1.1 304 ', 'x-pod: v1'] },
  {
    says: 'an answer that ends with its connection',
    send: ['GET /until-the-end HTTP/1.1', host, close],
    end: 'all of it',
    gets: [ok],
  },
  {
    says: 'an answer of HTTP/1.0',
    send: ['GET /http-1.0 HTTP/1.1', host, close],
    end: 'all of it',
    gets: [' 200 OK\r\n', 'x-pod: v1'],
  },
  {
    says: 'an answer in chunks',
    send: ['GET /chunked HTTP/1.1', host, close],
    end: `\r\n0${end}`,
    gets: [ok, 'transfer-encoding: chunked', 'all ', 'of it'],
  },
  {
    says: 'a word before the answer is dropped, the answer is not',
    send: ['GET /early HTTP/1.1', host, close],
    end: 'late',
    gets: [ok],
  },
  {
    says: 'headers that stand twice',
    send: ['GET /twice HTTP/1.1', host, close],
    end,
    gets: [ok, 'set-cookie: a=1\r\n', 'set-cookie: b=2\r\n'],
  },
  {
    says: 'a method of WebDAV',
    send: ['PROPFIND /method HTTP/1.1', host, close],
    gets: [ok, '"method":"PROPFIND"'],
  },
  {
    says: 'headers of 40 KB, of a name with an underscore, of nothing but a name',
    send: ['GET /headers HTTP/1.1', host, close, `x-long: ${'a'.repeat(40_000)}`, 'x_under: score', 'x-empty:'],
    gets: [ok, `"x-long":"${'a'.repeat(40_000)}"`, '"x_under":"score"', '"x-empty":""'],
  },
  {
    says: 'what is escaped in a path stays so',
    send: ['GET /a%20b/c%2Fd;e=f?g=h%26i&%5B%5D=//../ HTTP/1.1', host, close],
    gets: [ok, '"path":"/a%20b/c%2Fd;e=f?g=h%26i&%5B%5D=//../"'],
  },
  {
    says: 'who asks for HTTP/2 in passing is answered in HTTP/1.1',
    send: [
      ...['GET /passing HTTP/1.1', host, 'connection: upgrade, http2-settings', 'upgrade: h2c'],
      'http2-settings: AAMAAABkAAQCAAAAAAIAAAAA',
    ],
    gets: [ok, '"path":"/passing"'],
  },
  {
    says: 'who asks for another protocol than WebSockets is refused',
    send: ['GET /other HTTP/1.1', host, 'connection: upgrade', 'upgrade: other'],
    end,
    gets: ['HTTP/1.1 403 '],
  },
];

/** What of `parts` is missing. */
function missing(text: string, parts: readonly string[]): string | undefined {
  let at = 0;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found === -1) return part;
    at = found + part.length;
  }
  return undefined;
}

withEnvoy('HTTP/1 on the wire', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld([]);
  });
  afterAll(() => world?.close());

  const ask = async (family: 4 | 6, bytes: string, until: string): Promise<string> => {
    const address = world.address({ service: 'v1' }, family);
    const one = { as: 'bytes', address, port: 80, method: '', path: bytes, headers: {}, until };
    return String((await world.ask('client', one))[0]?.body);
  };

  for (const { says, send, end: last = '}', gets } of table) {
    test(says, async () => {
      for (const family of [4, 6] as const) {
        const text = await ask(family, `${send.join('\r\n')}${end}`, last);
        const lacks = missing(text, gets) ?? (text.includes(last) ? undefined : last);
        expect({ lacks, text: lacks && text }).toEqual({});
      }
    });
  }

  test('a connection is kept for as many requests as are asked', async () => {
    const one = (path: string) => `GET ${path} HTTP/1.1\r\n${host}${end}`;
    const text = await ask(4, one('/again').repeat(50) + one('/last'), '"path":"/last"');
    expect(text.split(ok).length - 1).toBe(51);
  });
});
