// SPDX-License-Identifier: Apache-2.0
// Which cluster is meant, what is asked of it, and what its failures become. A real API server is asked in test/interop.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { KmeshError } from '../../src/errors.ts';
import { isPassing } from '../../src/kube/fault.ts';
import { gateways, namespaces } from '../../src/kube/object.ts';
import { openCluster } from '../../src/kube/rest.ts';
import { testEnv } from '../cli/program.ts';
import { gateway, home } from '../support/waypoint-objects.ts';

let folder = '';
let server: Server;
let url = '';
let answer: (request: IncomingMessage, body: string, response: ServerResponse) => void;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'km-kube-'));
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => answer(request, body, response));
  });
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const json = (response: ServerResponse, code: number, body: unknown): void => {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

/** A kubeconfig with a context for each name: its namespace "in-NAME", its token "token-NAME". */
function kubeconfig(file: string, names: readonly string[], current = names[0] ?? ''): string {
  const path = join(folder, file);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: names.map((name) => ({ name, cluster: { server: `${url}/` } })),
    users: names.map((name) => ({ name, user: { token: `token-${name}` } })),
    contexts: names.map((name) => ({ name, context: { cluster: name, user: name, namespace: `in-${name}` } })),
    'current-context': current,
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

const envWith = (variables: Record<string, string> = {}) => testEnv({ env: { HOME: folder, ...variables } });
const openHere = (seconds?: number) => openCluster(envWith(), { kubeconfig: kubeconfig('config', ['one']) }, seconds);
const fault = async (promise: Promise<unknown>): Promise<KmeshError> => {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  if (error instanceof KmeshError) return error;
  throw new Error(`no fault of ours: ${error}`);
};

describe('which cluster', () => {
  const namespaceOf = async (
    variables: Record<string, string>,
    flags: { kubeconfig?: string; context?: string } = {},
  ) => (await openCluster(envWith(variables), flags)).namespace;

  test('the flag, else KUBECONFIG, whose files are put together; --context chooses', async () => {
    const a = kubeconfig('a', ['one', 'two']);
    const b = kubeconfig('b', ['three']);
    expect(await namespaceOf({ KUBECONFIG: b }, { kubeconfig: a })).toBe('in-one');
    expect(await namespaceOf({ KUBECONFIG: `${join(folder, 'gone')}:${a}:${b}` })).toBe('in-one');
    expect(await namespaceOf({ KUBECONFIG: `${a}:${b}` }, { context: 'three' })).toBe('in-three');
    expect(await namespaceOf({ KUBECONFIG: a }, { context: 'two' })).toBe('in-two');
  });

  test('where files speak of the same names, the first counts', async () => {
    const first = kubeconfig('a', ['one'], '');
    const text = readFileSync(first, 'utf8').replace('in-one', 'of-first');
    writeFileSync(first, text);
    expect(await namespaceOf({ KUBECONFIG: `${first}:${kubeconfig('b', ['two', 'one'], 'one')}` })).toBe('of-first');
    expect(await namespaceOf({ KUBECONFIG: `${kubeconfig('c', ['two'])}:${first}` }, { context: 'one' })).toBe(
      'of-first',
    );
  });

  test('none, one that cannot be read, one without the context', async () => {
    const none = await fault(openCluster(envWith(), {}));
    expect(none).toMatchObject({ code: 'KM_KUBE', message: 'no cluster to talk to: there is no kubeconfig' });
    expect(none.hint).toContain('--kubeconfig FILE');
    const gone = await fault(openCluster(envWith(), { kubeconfig: join(folder, 'gone') }));
    expect(gone.message).toBe(`kubeconfig "${join(folder, 'gone')}" does not exist`);
    writeFileSync(join(folder, 'bad'), '{\n');
    expect((await fault(openCluster(envWith(), { kubeconfig: join(folder, 'bad') }))).message).toMatch(
      /^kubeconfig "[^"]+" cannot be read: unexpected end of the stream .*\(2:1\)$/,
    );
    for (const text of ['', 'null', '[]', 'text']) {
      writeFileSync(join(folder, 'else'), text);
      const { message } = await fault(openCluster(envWith(), { kubeconfig: join(folder, 'else') }));
      expect(message, text).toMatch(/is no kubeconfig$|names no current context$/);
    }
    const { message } = await fault(openCluster(envWith(), { kubeconfig: folder }));
    expect(message).toBe(`kubeconfig "${folder}" is a folder, not a file`);
    const other = await fault(openCluster(envWith(), { kubeconfig: kubeconfig('a', ['one', 'two']), context: 'x' }));
    expect({ message: other.message, hint: other.hint }).toEqual({
      message: 'the kubeconfig has no context "x"',
      hint: 'there are: one, two',
    });
    const unset = await fault(openCluster(envWith(), { kubeconfig: kubeconfig('b', ['one'], '') }));
    expect(unset.message).toBe('the kubeconfig names no current context');
  });

  test('a pipe that a shell hands over is read until its end; one in the file system, which may have no other end, is none', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const { message } = await fault(openCluster(envWith(), { kubeconfig: pipe }));
    expect(message).toBe(`kubeconfig "${pipe}" is a pipe, not a file`);

    const text = readFileSync(kubeconfig('a', ['one']), 'utf8');
    const from = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    const to = openSync(pipe, constants.O_WRONLY);
    writeSync(to, text.slice(0, 20));
    const opening = namespaceOf({}, { kubeconfig: `/dev/fd/${from}` });
    await new Promise((done) => setImmediate(done));
    writeSync(to, text.slice(20));
    closeSync(to);
    expect(await opening).toBe('in-one');
    closeSync(from);
  });

  test('a pipe as a file that the kubeconfig names is not waited for', async () => {
    const [pipe, config] = [join(folder, 'pipe'), kubeconfig('a', ['one'])];
    execFileSync('mkfifo', [pipe]);
    const named = JSON.parse(readFileSync(config, 'utf8'));
    for (const [where, field] of [
      [named.clusters[0].cluster, 'certificate-authority'],
      [named.users[0].user, 'client-certificate'],
      [named.users[0].user, 'client-key'],
    ]) {
      where[field] = 'pipe';
      writeFileSync(config, JSON.stringify(named));
      delete where[field];
      const cluster = await openCluster(envWith(), { kubeconfig: config });
      const { message } = await fault(cluster.get(namespaces, 'x'));
      expect(message, field).toBe(`file "${pipe}", which the kubeconfig names, is a pipe, not a file`);
    }
  });
});

describe('what is asked', () => {
  test('paths, credentials, content types', async () => {
    const asked: string[] = [];
    answer = ({ method, url: path, headers }, body, response) => {
      asked.push([method, path, headers['content-type'] ?? '', body].join(' ').trim());
      expect(headers.authorization).toBe('Bearer token-one');
      json(response, 200, { metadata: { name: 'x' } });
    };
    const cluster = await openHere();
    const shop = home();
    await cluster.get(namespaces, 'shop');
    await cluster.apply(gateways, gateway('a/b'), { dryRun: true, force: false });
    await cluster.label(
      namespaces,
      { ...shop, metadata: { ...shop.metadata, resourceVersion: '7' } },
      { x: null },
      { dryRun: false },
    );
    await cluster.remove(
      gateways,
      { ...gateway('w'), metadata: { name: 'w', namespace: 'shop', uid: 'u1' } },
      { dryRun: true },
    );
    const group = '/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways';
    expect(asked).toEqual([
      'GET /api/v1/namespaces/shop',
      `PATCH ${group}/a%2Fb?fieldManager=kmeshctl&force=false&dryRun=All application/apply-patch+yaml ${JSON.stringify(gateway('a/b'))}`,
      'PATCH /api/v1/namespaces/shop?fieldManager=kmeshctl application/merge-patch+json {"metadata":{"resourceVersion":"7","labels":{"x":null}}}',
      `DELETE ${group}/w application/json {"preconditions":{"uid":"u1"},"dryRun":["All"]}`,
    ]);
  });

  test('a list is taken page by page', async () => {
    const asked: string[] = [];
    answer = ({ url: path = '' }, _body, response) => {
      asked.push(path);
      const more = path.includes('continue=') ? {} : { continue: 'next&more' };
      json(response, 200, { metadata: more, items: [gateway(`w${asked.length}`)] });
    };
    const found = await (await openHere()).list(gateways, { labels: 'a=b' });
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['w1', 'w2']);
    const all = '/apis/gateway.networking.k8s.io/v1/gateways?limit=500&labelSelector=a%3Db';
    expect(asked).toEqual([all, `${all}&continue=next%26more`]);
  });

  test('a list whose first page is too old to go on with is taken anew, whole, once', async () => {
    const asked: string[] = [];
    let never = false;
    answer = ({ url: path = '' }, _body, response) => {
      asked.push(path.slice(path.indexOf('gateways')));
      if (path.includes('continue=')) json(response, 410, { kind: 'Status', code: 410, message: 'token too old' });
      else {
        const more = never || path.includes('limit=') ? { continue: 'x' } : {};
        json(response, 200, { metadata: more, items: [gateway(`w${asked.length}`)] });
      }
    };
    const cluster = await openHere();
    expect((await cluster.list(gateways, {})).map(({ metadata }) => metadata.name)).toEqual(['w3']);
    expect(asked).toEqual(['gateways?limit=500', 'gateways?limit=500&continue=x', 'gateways']);
    never = true;
    expect((await fault(cluster.list(gateways, {}))).message).toBe('list of gateways: token too old');
  });

  test('names that would lead up a path, or are none, never reach the server', async () => {
    answer = () => {
      throw new Error('asked');
    };
    const cluster = await openHere();
    for (const name of ['', '.', '..']) {
      const faults = [
        await fault(cluster.list(gateways, { namespace: name })),
        await fault(cluster.get(gateways, name, 'shop')),
        await fault(cluster.remove(gateways, gateway('w', { namespace: name }), { dryRun: false })),
      ];
      for (const { code, message } of faults) {
        expect([code, message]).toEqual(['KM_USAGE', `"${name}" is no name of anything in a cluster`]);
      }
    }
  });
});

describe('what fails', () => {
  const status = (code: number, message: string, details = {}) => ({ kind: 'Status', code, message, details });
  const failing = async (code: number, body: unknown) => {
    answer = (_request, _body, response) => json(response, code, body);
    return fault((await openHere()).apply(gateways, gateway('w'), { dryRun: false, force: false }));
  };

  test('a conflict names each field manager and its fields', async () => {
    const cause = (manager: string, field: string) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with "${manager}" using gateway.networking.k8s.io/v1`,
      field,
    });
    const causes = [cause('kubectl', '.spec.a'), cause('argo', '.spec.b'), cause('kubectl', '.spec.c')];
    const conflict = await failing(409, status(409, 'Apply failed with 3 conflicts', { causes }));
    expect({ code: conflict.code, message: conflict.message, hint: conflict.hint }).toEqual({
      code: 'KM_CONFLICT',
      message:
        'gateway shop/w: other field managers own what should be written: "kubectl" owns .spec.a, .spec.c; "argo" owns .spec.b',
      hint: '--force-conflicts takes these fields over',
    });
  });

  test.each([
    [409, status(409, 'object has been modified'), 'KM_CONFLICT', 'was changed by somebody else meanwhile', false],
    [
      404,
      status(404, 'namespaces "shop" not found', { kind: 'namespaces', name: 'shop' }),
      'KM_NOT_FOUND',
      'no namespace',
      false,
    ],
    [404, '404 page not found', 'KM_KUBE', 'the cluster does not know gateways (gateway.networking.k8s.io/v1)', false],
    [401, status(401, 'Unauthorized'), 'KM_KUBE', 'gateway shop/w: Unauthorized', false],
    [403, status(403, 'gateways is forbidden: …'), 'KM_KUBE', 'is forbidden', false],
    [422, status(422, 'Gateway "w" is invalid: …'), 'KM_KUBE', 'is invalid', false],
    [503, 'upstream away', 'KM_KUBE', 'HTTP status 503', true],
  ])('%i %j', async (code, body, expected, message, passing) => {
    const found = await failing(code, body);
    expect(found.code).toBe(expected);
    expect(found.message).toContain(message);
    expect(isPassing(found)).toBe(passing);
  });

  test('statuses and objects of any shape are faults of the server, not of ours', async () => {
    const shapes = [null, 5, 'text', [], [null], {}, { name: 5, causes: 7 }, { causes: [null, 5, { reason: {} }] }];
    for (const code of [403, 404, 409, 410, 500]) {
      for (const shape of shapes) {
        for (const body of [shape, { kind: 'Status', message: shape, details: shape }]) {
          expect((await failing(code, body)).code, JSON.stringify([code, body])).not.toBe('KM_INTERNAL');
        }
      }
    }
    const cluster = await openHere();
    for (const shape of [null, 5, 'text']) {
      for (const part of [{ metadata: { name: 'w', labels: shape } }, { metadata: { name: 'w' }, status: shape }]) {
        answer = (_request, _body, response) => json(response, 200, { ...part, items: [part] });
        expect((await fault(cluster.list(gateways, {}))).message).toContain('none of the Kubernetes API');
        expect((await fault(cluster.get(gateways, 'w', 'shop'))).message).toContain('none of the Kubernetes API');
      }
    }
  });

  test.each([429, 503])(
    '%i with a time to come back is asked again then, as long as the request may take',
    async (code) => {
      let asked = 0;
      const refuse = (after: string) => {
        asked = 0;
        answer = (_request, _body, response) => {
          asked++;
          if (asked > 2) json(response, 200, { metadata: { name: 'shop' } });
          else response.writeHead(code, { 'retry-after': after }).end('busy');
        };
      };
      refuse('0');
      expect((await (await openHere()).get(namespaces, 'shop'))?.metadata.name).toBe('shop');
      expect(asked).toBe(3);
      for (const after of ['3600', 'Wed, 21 Oct 2015 07:28:00 GMT']) {
        refuse(after);
        const found = await fault((await openHere()).get(namespaces, 'shop'));
        expect([found.message, isPassing(found), asked]).toEqual([`namespace shop: HTTP status ${code}`, true, 1]);
      }
    },
  );

  test('what is not there is told from a kind that is not', async () => {
    const cluster = await openHere();
    answer = (_request, _body, response) =>
      json(response, 404, status(404, 'not found', { name: 'w', kind: 'gateways' }));
    expect(await cluster.get(gateways, 'w', 'shop')).toBeUndefined();
    expect(await cluster.remove(gateways, gateway('w'), { dryRun: false })).toBe(false);
    answer = (_request, _body, response) => void response.writeHead(404).end('404 page not found');
    expect((await fault(cluster.get(gateways, 'w', 'shop'))).hint).toBe(
      'install the resource definitions of the Gateway API',
    );
  });

  test('a success that is none', async () => {
    for (const body of [
      null,
      'text',
      [],
      {},
      { metadata: null },
      { metadata: {}, items: 'none' },
      { metadata: {}, items: [null] },
    ]) {
      answer = (_request, _body, response) => json(response, 200, body);
      const cluster = await openHere();
      const { code, message } = await fault(cluster.list(gateways, {}));
      expect([body, code, message]).toEqual([
        body,
        'KM_KUBE',
        'list of gateways: the answer is none of the Kubernetes API',
      ]);
    }
    answer = (_request, _body, response) => json(response, 200, '<html>');
    expect((await fault((await openHere()).get(namespaces, 'shop'))).message).toContain('none of the Kubernetes API');
    let asked = 0;
    answer = (_request, _body, response) => {
      asked++;
      json(response, 200, { metadata: { continue: 'again' }, items: [] });
    };
    expect((await fault((await openHere()).list(gateways, {}))).message).toContain('none of the Kubernetes API');
    expect(asked).toBe(2);
  });

  test('credentials that cannot be had', async () => {
    const file = kubeconfig('exec', ['one']);
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: join(folder, 'no-such-program') };
    const config = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...config, users: [{ name: 'one', user: { exec } }] }));
    const found = await fault((await openCluster(envWith(), { kubeconfig: file })).get(namespaces, 'shop'));
    expect(found.message).toMatch(/^no credentials for the Kubernetes API: .*no-such-program/);
    expect(isPassing(found)).toBe(false);
  });

  test('nobody there, and a server that says nothing', async () => {
    answer = () => {};
    const silent = await fault((await openHere(0.2)).get(namespaces, 'shop'));
    expect(silent.message).toBe(`cannot reach the Kubernetes API at ${url}: no answer within 0.2 s`);
    expect(isPassing(silent)).toBe(true);
    answer = (_request, _body, response) => void response.writeHead(200).write('{"metadata":');
    const cut = await fault((await openHere(0.2)).get(namespaces, 'shop'));
    expect([cut.message, isPassing(cut)]).toEqual([silent.message, true]);
    const cluster = await openHere();
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    expect((await fault(cluster.get(namespaces, 'shop'))).message).toMatch(/ECONNREFUSED/);
  });
});
