// SPDX-License-Identifier: Apache-2.0
// How much of a connection one turn of the event loop reads, by what the library that reads messages is given.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StreamDecoder } from '@grpc/grpc-js/build/src/stream-decoder.js';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { realTimers } from '../../../src/source/timers.ts';
import { turnBytes } from '../../../src/source/xds/paced-socket.ts';
import { openTransport } from '../../../src/source/xds/transport.ts';
import { openAdsServer, prefixOf } from '../../support/ads-server.ts';
import { makeCertificates } from '../../support/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'kmesh-xds-'));
afterAll(() => rmSync(folder, { recursive: true }));

afterEach(() => vi.restoreAllMocks());

const size = 16 << 20;
/** What is read by the system in one go, and what HTTP/2 hands on of it later. */
const slack = 192 * 1024;

/** The most bytes that came in one turn while a message of `size` was read. */
async function mostInATurn(secure: boolean): Promise<number> {
  const certificate = secure ? makeCertificates(folder, 'DNS:localhost') : undefined;
  const server = await openAdsServer({
    ...(certificate && { tls: certificate }),
    async onStream(stream) {
      const piece = Buffer.alloc(1 << 20, 'x');
      await stream.sendRaw(prefixOf({ length: size } as Buffer));
      for (let sent = 0; sent < size; sent += piece.length) await stream.sendRaw(piece);
    },
  });
  const tls = certificate && { rootFile: certificate.root };
  const transport = openTransport(
    { host: 'localhost', port: server.port, headers: [], ...(tls && { tls }) },
    realTimers,
  );
  let most = 0;
  let now: number | undefined;
  const { write } = StreamDecoder.prototype;
  vi.spyOn(StreamDecoder.prototype, 'write').mockImplementation(function (this: StreamDecoder, piece: Buffer) {
    if (now === undefined) {
      now = 0;
      setImmediate(() => {
        now = undefined;
      });
    }
    now += piece.length;
    most = Math.max(most, now);
    return write.call(this, piece);
  });
  const stream = transport.open({ clusterId: '' });
  try {
    const message = await stream.next();
    expect(message?.length).toBe(size);
    return most;
  } finally {
    stream.cancel();
    await server.close();
  }
}

test.each([
  ['plaintext', false],
  ['TLS', true],
])('a turn of the event loop reads a part of a large message (%s)', async (_name, secure) => {
  const most = await mostInATurn(secure);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(turnBytes + slack);
});
