// SPDX-License-Identifier: Apache-2.0
// What goes with the source: addresses kept over restarts, host names, the reading thread, validation, hosts lines.
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { expect, onTestFinished, test } from 'vitest';
import { threadFromBytes } from '../../../src/source/file/load.ts';
import { validateFiles } from '../../../src/source/file/validate.ts';
import { renderFinding } from '../../../src/source/findings.ts';
import { folder, listen, pod } from './listening.ts';
import { dedent } from './texts.ts';

const entry = (host: string, more = 'resolution: DNS') =>
  dedent(`
    apiVersion: networking.istio.io/v1
    kind: ServiceEntry
    metadata: {name: api, namespace: shop}
    spec: {hosts: ["${host}"], ports: [{number: 80}], ${more}}
  `);

const addressesOf = (heard: ReturnType<typeof listen>) =>
  heard.told.flatMap(({ changes }) => changes.flatMap((c) => (c.kind === 'put-service' ? [c.service.addresses] : [])));

test('automatic addresses outlive the agent, also when they were not the first choice', async () => {
  const path = folder();
  const addresses = join(folder(), 'addresses.json');
  writeFileSync(
    addresses,
    '{"shop/a.example.com": ["240.240.9.9", "2001:2::9"], "shop/gone.example.com": ["240.240.9.8", "2001:2::8"]}',
  );
  writeFileSync(join(path, 'a.yaml'), entry('a.example.com'));
  writeFileSync(join(path, 'b.yaml'), entry('b.example.com').replace('name: api', 'name: b'));
  const first = listen([path], { addresses });
  await first.source.loaded;
  await first.source.close();
  const [a, b] = addressesOf(first);
  expect(a?.map((x) => x.address)).toEqual(['240.240.9.9', '2001:2::9']);
  const kept = JSON.parse(readFileSync(addresses, 'utf8'));
  expect(kept).toEqual({
    'shop/a.example.com': ['240.240.9.9', '2001:2::9'],
    'shop/b.example.com': b?.map((x) => x.address),
    'shop/gone.example.com': ['240.240.9.8', '2001:2::8'],
  });
  const second = listen([path], { addresses });
  await second.source.loaded;
  expect(addressesOf(second)).toEqual([a, b]);
});

test('kept addresses that cannot be read are left behind with a warning', async () => {
  const path = folder();
  const addresses = join(path, 'addresses.txt');
  writeFileSync(addresses, '{"shop/a": ["here"]}');
  writeFileSync(join(path, 'a.yaml'), entry('a.example.com'));
  const heard = listen([path], { addresses });
  await heard.source.loaded;
  expect(addressesOf(heard)[0]?.length).toBe(2);
  expect(heard.warnings).toEqual([expect.stringContaining('automatic addresses of before cannot be read')]);
});

test('host names are asked for in the background, and their addresses come as changes', async () => {
  const path = folder();
  writeFileSync(join(path, 'a.yaml'), entry('a.example.com'));
  let answer: (addresses: string[]) => void = () => {};
  const asked: string[] = [];
  const heard = listen([path], {
    resolver: (hostname) => {
      asked.push(hostname);
      return new Promise((done) => (answer = (addresses) => done({ addresses, ttl: 300 })));
    },
  });
  await heard.source.loaded;
  expect(heard.told.length).toBe(1);
  expect(asked).toEqual(['a.example.com']);
  answer(['192.0.2.7']);
  await heard.until(() => heard.told.length === 2);
  expect(heard.told[1]?.changes.map((c) => (c.kind === 'put-workload' ? c.workload.addresses : c.kind))).toEqual([
    'remove-workload',
    ['192.0.2.7'],
  ]);
  writeFileSync(join(path, 'a.yaml'), entry('b.example.com'));
  await heard.until(() => asked.length === 2);
  expect(asked[1]).toBe('b.example.com');
});

test('a name that cannot be resolved is a warning of the report', async () => {
  const path = folder();
  writeFileSync(join(path, 'a.yaml'), entry('a.example.com'));
  const heard = listen([path], {
    resolver: async () => {
      throw new Error('queryA ENOTFOUND a.example.com');
    },
  });
  await heard.until(() => heard.told.length === 2);
  expect(heard.told[1]?.report.warnings.map(renderFinding)).toEqual([
    `${path}/a.yaml:3:18: ServiceEntry shop/api: host name "a.example.com" is not resolved: queryA ENOTFOUND a.example.com`,
  ]);
});

test('much at once is read in a thread, with the same result', async () => {
  const [path, dist] = [folder(), folder()];
  await build({
    entryPoints: [join(import.meta.dirname, '../../../src/source/file/parse-worker.ts')],
    outfile: join(dist, 'parse-worker.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: { js: "import{createRequire as $r}from'node:module';const require=$r(import.meta.url);" },
    logLevel: 'silent',
  });
  for (let f = 0; f < 10; f++) {
    const pods = Array.from({ length: 400 }, (_, i) => pod(`p${f}-${i}`)).join('');
    writeFileSync(join(path, `${f}.yaml`), `${pods}${pod('broken', '7')}`);
  }
  const early = listen([path], { thread: pathToFileURL(join(dist, 'none.mjs')) });
  await early.source.loaded;
  expect(early.faults().length, 'no thread is started for small files at first').toBe(10);
  expect(early.faults()[0]).toMatch(/nodeName/);
  early.source.close();

  for (let f = 0; f < 10; f++) appendFileSync(join(path, `${f}.yaml`), `# ${'-'.repeat(threadFromBytes / 2)}\n`);
  const both = listen([path], { thread: pathToFileURL(join(dist, 'parse-worker.mjs')) });
  await both.source.loaded;
  const alone = listen([path], { thread: pathToFileURL(join(dist, 'none.mjs')) });
  await alone.source.loaded;
  alone.source.close();

  appendFileSync(join(path, '0.yaml'), `# ${'-'.repeat(threadFromBytes)}\n`);
  const here = listen([path]);
  const there = listen([path], { thread: pathToFileURL(join(dist, 'parse-worker.mjs')) });
  await Promise.all([here.source.loaded, there.source.loaded]);
  expect(there.told).toEqual(here.told);
  expect(both.told).toEqual(here.told);
  expect(alone.told, 'whatever becomes of the thread').toEqual(here.told);
  expect(there.told[0]?.changes.length).toBe(4000);

  const dead = listen([path], { thread: pathToFileURL(join(dist, 'none.mjs')) });
  await dead.source.loaded;
  expect(dead.faults().length).toBe(10);
  expect(dead.faults()[0]).toMatch(/0\.yaml: cannot be read: Cannot find module/);
}, 30_000);

test('validation says what the agent would', async () => {
  const path = folder();
  mkdirSync(join(path, 'sub'));
  writeFileSync(join(path, 'a.yaml'), pod('a', '7') + pod('b'));
  writeFileSync(join(path, 'sub/b.yaml'), `${pod('b')}---\n${entry('a.example.com')}`);
  const report = await validateFiles([path, '-', join(path, 'none')], {
    stdin: Readable.from([
      `${pod('b')}---\n${entry('a.example.com', 'resolution: NONE').replace('name: api', 'name: late')}`,
    ]),
  });
  expect(report).toMatchObject({ files: 4, objects: 3 });
  expect(report.faults.map(renderFinding)).toEqual([
    `${path}/a.yaml:5:18: Pod default/a: spec.nodeName: must be text, not the number 7 (put it in quotes)`,
    `${path}/sub/b.yaml:4:18: Pod default/b: metadata.name: is defined at ${path}/a.yaml:10:18 already; this document is left out`,
    `-:4:18: Pod default/b: metadata.name: is defined at ${path}/a.yaml:10:18 already; this document is left out`,
    `${path}/none: does not exist`,
  ]);
  expect(report.warnings.map(renderFinding)).toEqual([
    '-:10:18: ServiceEntry shop/late: spec.hosts: "a.example.com" belongs to ServiceEntry shop/api; it is left out here',
  ]);
});

test('who reads once reads pipes, too', async () => {
  const pipe = join(folder(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const writer = spawn('sh', ['-c', 'printf %s "$1" > "$2"', 'sh', pod('a'), pipe]);
  onTestFinished(() => void writer.kill());
  const report = await validateFiles([pipe]);
  expect(report).toMatchObject({ files: 1, objects: 1, faults: [] });
});
