// SPDX-License-Identifier: Apache-2.0
// Certificates and addresses of the control plane of waypoints: what is refused, and what is warned of.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ListenOptions, listenFor } from '../../../src/tasks/waypoint/listen.ts';
import { openTls } from '../../../src/tasks/waypoint/tls.ts';
import type { TlsFiles } from '../../../src/tasks/waypoint/tls-files.ts';
import { openWaypointServer } from '../../../src/waypoint/server.ts';
import { makeCertificates } from '../../support/certificates.ts';

let folder = '';
let said: string[] = [];
const closing: (() => unknown)[] = [];
const log = { info: () => {}, warn: (_: object, message: string) => void said.push(message) };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'km-tls-'));
  said = [];
});
afterEach(() => {
  for (const close of closing.splice(0).reverse()) close();
  rmSync(folder, { recursive: true });
});

function files(): Required<TlsFiles> {
  const { root, key, cert } = makeCertificates(folder, 'IP:127.0.0.1');
  const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(tlsCert, cert);
  writeFileSync(tlsKey, key);
  return { tlsCert, tlsKey, clientCa: root };
}

describe('certificates', () => {
  const open = (of: TlsFiles) => {
    const tls = openTls(of, '--waypoint-ads-', log);
    closing.push(() => tls?.close());
    return tls;
  };

  test('what the files make of it', () => {
    const { tlsCert, tlsKey, clientCa } = files();
    expect(open({})).toBeUndefined();
    expect(open({ tlsCert, tlsKey })?.kind).toBe('server');
    expect(open({ tlsCert, tlsKey, clientCa })?.kind).toBe('mutual');
  });

  test('what makes no sense, cannot be read or cannot be used', () => {
    const { tlsCert, tlsKey, clientCa } = files();
    const message = /^--waypoint-ads-tls-cert and --waypoint-ads-tls-key belong together/;
    for (const part of [{ tlsCert }, { tlsKey }, { clientCa }, { tlsCert, clientCa }]) {
      expect(() => open(part)).toThrow(message);
    }
    expect(() => open({ tlsCert, tlsKey: join(folder, 'gone') })).toThrow(/key file ".*gone" does not exist/);
    writeFileSync(tlsKey, 'no key');
    expect(() => open({ tlsCert, tlsKey })).toThrow(/and its key cannot be used/);
  });

  test('a pipe, a folder or a device is none, also later on', () => {
    const { tlsCert, tlsKey } = files();
    const tls = open({ tlsCert, tlsKey });
    rmSync(tlsCert);
    execFileSync('mkfifo', [tlsCert]);
    tls?.reload();
    expect(said).toEqual(['certificates cannot be used: those of before stay']);
    expect(() => open({ tlsCert, tlsKey })).toThrow(/certificate file ".*cert\.pem" is a pipe, not a file/);
    expect(() => open({ tlsCert: folder, tlsKey })).toThrow(/ is a folder, not a file/);
    expect(() => open({ tlsCert: '/dev/zero', tlsKey })).toThrow(/ is a device, not a file/);
  });

  test('what cannot be used later is told once, and those of before stay', () => {
    const { tlsCert, tlsKey } = files();
    const tls = open({ tlsCert, tlsKey });
    writeFileSync(tlsCert, 'no certificate');
    tls?.reload();
    tls?.reload();
    expect(said).toEqual(['certificates cannot be used: those of before stay']);
  });
});

describe('addresses', () => {
  const listen = async (options: Partial<ListenOptions>) => {
    const view = { node: '', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };
    const server = openWaypointServer({ view, log });
    closing.push(() => server.close());
    const where = { host: '127.0.0.1', port: 0 };
    const listening = await listenFor(server, { ...{ where, tls: {}, flag: '--', log }, ...options });
    closing.push(() => listening.close());
    return listening.at;
  };

  test('plain text beyond this machine is warned of', async () => {
    expect(await listen({})).toMatchObject({ address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), tls: 'none' });
    await listen({ where: { host: 'localhost', port: 0 } });
    expect(said).toEqual([]);
    const { tlsCert, tlsKey } = files();
    expect(await listen({ where: { host: '0.0.0.0', port: 0 }, tls: { tlsCert, tlsKey } })).toMatchObject({
      ...{ address: expect.stringMatching(/^0\.0\.0\.0:\d+$/), tls: 'server' },
    });
    expect(said).toEqual([]);
    await listen({ where: { host: '0.0.0.0', port: 0 } });
    expect(said).toEqual(['proxies are told in plain text beyond this machine: --tls-cert prevents that']);
  });

  test('a socket that only its owner may open, in place of what was left there', async () => {
    const socket = join(folder, 'ads.sock');
    writeFileSync(socket, '');
    expect(await listen({ socket })).toMatchObject({ socket });
    expect(statSync(socket).isSocket()).toBe(true);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  test('an address that is not there, or taken', async () => {
    await expect(listen({ where: { host: '192.0.2.1', port: 1 } })).rejects.toMatchObject({ code: 'KM_LISTEN' });
    const { address } = await listen({});
    const port = Number(address.split(':')[1]);
    await expect(listen({ where: { host: '127.0.0.1', port } })).rejects.toMatchObject({ code: 'KM_LISTEN' });
  });
});
