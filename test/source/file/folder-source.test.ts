// SPDX-License-Identifier: Apache-2.0
// The source on real folders: what is read first, and what edits of every sort lead to.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import { maxFileBytes } from '../../../src/source/file/load.ts';
import { openHandTimers } from './hand-timers.ts';
import { folder, listen, pod } from './listening.ts';

const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

describe('first reading', () => {
  test('all folders below, in order of names; nothing hidden, nothing of another sort', async () => {
    const path = folder();
    mkdirSync(join(path, 'b/c'), { recursive: true });
    mkdirSync(join(path, '.git'));
    const files = {
      'a.yaml': 'a',
      'b/b.yml': 'b',
      'b/c/c.json': 'c',
      'z.yaml': 'z',
      '.hidden.yaml': 'x',
      '.git/x.yaml': 'x',
      'readme.md': 'x',
      'x.yaml~': 'x',
    };
    for (const [name, of] of Object.entries(files)) writeFileSync(join(path, name), pod(of));
    writeFileSync(join(path, 'b/b.yml'), pod('b') + pod('a', 'other'));
    const { source, told, state, faults } = listen([path]);
    await source.loaded;
    expect(state()).toEqual({ a: 'n1', b: 'n1', c: 'n1', z: 'n1' });
    expect(told.length).toBe(1);
    expect(told[0]?.report).toMatchObject({ files: 4, objects: 4 });
    expect(faults()).toEqual([
      `${path}/b/b.yml:10:18: Pod default/a: metadata.name: is defined at ${path}/a.yaml:4:18 already; this document is left out`,
    ]);
  });

  test('an empty folder is a whole answer too', async () => {
    const { source, told } = listen([folder()]);
    await source.loaded;
    expect(told).toEqual([{ changes: [], report: { files: 0, objects: 0, faults: [], warnings: [], ignored: [] } }]);
  });

  test('what is no file is refused at once, and what a file of that name held stays', async () => {
    const path = folder();
    const [file, pipe, device] = ['a.yaml', 'pipe.yaml', 'device.yaml'].map((name) => join(path, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(file, pod('a'));
    execFileSync('mkfifo', [pipe]);
    symlinkSync('/dev/zero', device);
    const { source, state, faults } = listen([path, pipe, '/dev/zero']);
    await source.loaded;
    expect(state()).toEqual({ a: 'n1' });
    const refused = [
      `${device}: is a device, not a file`,
      `${pipe}: is a pipe, not a file`,
      '/dev/zero: is a device, not a file',
    ];
    expect([...faults()].sort()).toEqual(refused.sort());
    renameSync(pipe, file);
    await source.reload();
    expect(state()).toEqual({ a: 'n1' });
    expect(faults()).toContain(`${file}: is a pipe, not a file (the version read before stays)`);
  });

  test('files whatever their names, the standard input in its turn, the same file once', async () => {
    const path = folder();
    const file = join(path, 'config.txt');
    writeFileSync(file, pod('a'));
    symlinkSync(file, join(path, 'again.yaml'));
    const { source, state, faults, told } = listen(['-', file, path], {
      stdin: Readable.from([pod('a', 'stdin'), pod('b')]),
    });
    await source.loaded;
    expect(state()).toEqual({ a: 'stdin', b: 'n1' });
    expect(told[0]?.report.files).toBe(2);
    expect(faults()).toEqual([
      `${file}:4:18: Pod default/a: metadata.name: is defined at -:4:18 already; this document is left out`,
    ]);
  });

  test('what does not exist, is no text or cannot be read is a fault', async () => {
    const path = folder();
    writeFileSync(join(path, 'latin.yaml'), Buffer.from('a: 1\nb: caf\xe9\n', 'latin1'));
    symlinkSync('loop.yaml', join(path, 'loop.yaml'));
    const { source, faults } = listen([join(path, 'none'), path]);
    await source.loaded;
    expect(faults().sort()).toEqual([
      `${path}/latin.yaml:2:7: is not UTF-8`,
      `${path}/loop.yaml: is a link that leads to itself`,
      `${path}/none: does not exist`,
    ]);
  });
});

test('a file that is too large is not read at all, and keeps no other out', async () => {
  const path = folder();
  writeFileSync(join(path, 'a.yaml'), '');
  truncateSync(join(path, 'a.yaml'), maxFileBytes + 1);
  writeFileSync(join(path, 'b.yaml'), pod('b'));
  const { source, faults, state, until } = listen([path]);
  await source.loaded;
  expect(faults()).toEqual([`${path}/a.yaml: is larger than 256 MiB`]);
  expect(state()).toEqual({ b: 'n1' });
  truncateSync(join(path, 'a.yaml'), 0);
  writeFileSync(join(path, 'a.yaml'), pod('a'));
  await until(() => state().a === 'n1' && faults().length === 0);
});

test('news that are not taken up do not end it: they are logged, and told again with what is there by then', async () => {
  const path = folder();
  writeFileSync(join(path, 'a.yaml'), pod('a'));
  const timers = openHandTimers();
  const told: string[][] = [];
  const errors: string[] = [];
  const { source } = listen([path], {
    timers,
    log: {
      debug() {},
      info() {},
      warn() {},
      error: (fact, message) => void errors.push(message + JSON.stringify(fact)),
    },
    async tell({ changes }) {
      told.push(changes.map((change) => (change.kind === 'put-workload' ? change.workload.name : change.kind)));
      if (told.length <= 2) throw new Error('not now');
    },
  });
  await source.loaded;
  await vi.waitFor(() => expect(errors).toHaveLength(1));
  expect(errors[0]).toMatch(/could not be taken up; it is told again.*not now/);
  writeFileSync(join(path, 'b.yaml'), pod('b'));
  await source.reload();
  await vi.waitFor(() => expect(errors).toHaveLength(2));
  timers.run(2000);
  expect(told).toEqual([['a'], ['a', 'b'], ['a', 'b']]);
  // Looked at again, with nothing left to tell.
  await source.reload();
  expect(told).toHaveLength(3);
});

describe('edits', () => {
  const two = async () => {
    const path = folder();
    writeFileSync(join(path, 'a.yaml'), pod('a'));
    writeFileSync(join(path, 'b.yaml'), pod('b'));
    const heard = listen([path]);
    await heard.source.loaded;
    heard.facts.length = 0;
    return { path, ...heard };
  };

  test('one file is read again, and told', async () => {
    const { path, until, state, told, facts } = await two();
    writeFileSync(join(path, 'a.yaml'), pod('a', 'n2'));
    await until(() => state().a === 'n2');
    expect(told.at(-1)?.changes.length).toBe(1);
    expect(facts.at(-1)).toEqual({ read: 1, changes: 1 });
  });

  test('files that come, go, and take the place of others', async () => {
    const { path, until, state } = await two();
    writeFileSync(join(path, 'c.yaml'), pod('c'));
    await until(() => state().c === 'n1');
    writeFileSync(join(path, '.tmp'), pod('c', 'n2'));
    renameSync(join(path, '.tmp'), join(path, 'c.yaml'));
    await until(() => state().c === 'n2');
    unlinkSync(join(path, 'b.yaml'));
    await until(() => !('b' in state()));
    renameSync(join(path, 'c.yaml'), join(path, 'c.off'));
    await until(() => !('c' in state()));
    expect(state()).toEqual({ a: 'n1' });
  });

  test('folders that come and go, also at the same name', async () => {
    const { path, until, state } = await two();
    for (const node of ['n2', 'n3']) {
      mkdirSync(join(path, 'sub/deep'), { recursive: true });
      writeFileSync(join(path, 'sub/deep/c.yaml'), pod('c', node));
      await until(() => state().c === node);
      appendFileSync(join(path, 'sub/deep/c.yaml'), pod('d', node));
      await until(() => state().d === node);
      rmSync(join(path, 'sub'), { recursive: true });
      await until(() => !('c' in state()) && !('d' in state()));
    }
  });

  test('many writes one after the other end in the last', async () => {
    const { path, until, state } = await two();
    for (let i = 0; i < 30; i++) {
      writeFileSync(join(path, 'a.yaml'), pod('a', `m${i}`));
      await sleep(Math.random() * 12);
    }
    await until(() => state().a === 'm29');
    await sleep(400);
    expect(state()).toEqual({ a: 'm29', b: 'n1' });
  });

  test('a broken document is told, its last version stays, and mending it ends that', async () => {
    const { path, until, state, faults } = await two();
    writeFileSync(join(path, 'a.yaml'), `${pod('a', '7')}${pod('c')}`);
    await until(() => state().c === 'n1');
    expect(state().a).toBe('n1');
    expect(faults()).toEqual([
      `${path}/a.yaml:5:18: Pod default/a: spec.nodeName: must be text, not the number 7 (put it in quotes) (the version read before stays)`,
    ]);
    writeFileSync(join(path, 'a.yaml'), pod('a', 'n2'));
    await until(() => state().a === 'n2' && faults().length === 0);
    expect(state()).toEqual({ a: 'n2', b: 'n1' });
  });

  test('a file that is emptied before it is written keeps its objects for a moment', async () => {
    const { path, until, state } = await two();
    writeFileSync(join(path, 'a.yaml'), '');
    await sleep(400);
    expect(state().a).toBe('n1');
    writeFileSync(join(path, 'a.yaml'), pod('a', 'n2'));
    await until(() => state().a === 'n2');
    writeFileSync(join(path, 'a.yaml'), '');
    await until(() => !('a' in state()));
  });

  test('touching without changing tells nothing', async () => {
    const { path, told } = await two();
    writeFileSync(join(path, 'a.yaml'), pod('a'));
    await sleep(300);
    expect(told.length).toBe(1);
  });

  test('reload reads everything again', async () => {
    const { source, facts } = await two();
    await source.reload();
    expect(facts).toEqual([{ read: 2, changes: 0 }]);
  });
});

describe('links', () => {
  test('a mounted ConfigMap is swapped in one step', async () => {
    const path = folder();
    const version = (name: string, node: string) => {
      mkdirSync(join(path, `..${name}`));
      writeFileSync(join(path, `..${name}`, 'a.yaml'), pod('a', node));
      symlinkSync(`..${name}`, join(path, '..data_tmp'));
      renameSync(join(path, '..data_tmp'), join(path, '..data'));
    };
    version('2024_1', 'n1');
    symlinkSync('..data/a.yaml', join(path, 'a.yaml'));
    const { source, until, state, told } = listen([path]);
    await source.loaded;
    expect(told[0]?.report.files).toBe(1);
    version('2024_2', 'n2');
    rmSync(join(path, '..2024_1'), { recursive: true });
    await until(() => state().a === 'n2');
    version('2024_3', 'n3');
    await until(() => state().a === 'n3');
  });

  test('a link to a file elsewhere, whose target is edited', async () => {
    const [path, other] = [folder(), folder()];
    writeFileSync(join(other, 'target.yaml'), pod('a'));
    symlinkSync(join(other, 'target.yaml'), join(path, 'a.yaml'));
    const { source, until, state } = listen([path]);
    await source.loaded;
    writeFileSync(join(other, 'target.yaml'), pod('a', 'n2'));
    await until(() => state().a === 'n2');
  });

  test('the folder given is itself a link that moves on', async () => {
    const path = folder();
    for (const name of ['one', 'two']) {
      mkdirSync(join(path, name));
      writeFileSync(join(path, name, 'a.yaml'), pod('a', name));
    }
    symlinkSync('one', join(path, 'current'));
    const { source, until, state } = listen([join(path, 'current')]);
    await source.loaded;
    symlinkSync('two', join(path, 'next'));
    renameSync(join(path, 'next'), join(path, 'current'));
    await until(() => state().a === 'two');
    writeFileSync(join(path, 'two', 'a.yaml'), pod('a', 'three'));
    await until(() => state().a === 'three');
  });
});

describe('what was given goes', () => {
  test('a file: its objects go; and come back with it', async () => {
    const file = join(folder(), 'a.yaml');
    writeFileSync(file, pod('a'));
    const { source, until, state, faults } = listen([file]);
    await source.loaded;
    unlinkSync(file);
    await until(() => !('a' in state()));
    expect(faults()).toEqual([`${file}: does not exist`]);
    writeFileSync(file, pod('a', 'n2'));
    await until(() => state().a === 'n2');
    expect(faults()).toEqual([]);
  });

  test('a folder: nothing is known of what was in it, so it stays', async () => {
    const path = join(folder(), 'config');
    mkdirSync(path);
    writeFileSync(join(path, 'a.yaml'), pod('a'));
    writeFileSync(join(path, 'b.yaml'), pod('b'));
    const { source, until, state, faults } = listen([path]);
    await source.loaded;
    renameSync(path, `${path}.away`);
    await until(() => faults().length === 1);
    expect(faults()).toEqual([`${path}: does not exist`]);
    expect(state()).toEqual({ a: 'n1', b: 'n1' });
    mkdirSync(path);
    writeFileSync(join(path, 'a.yaml'), pod('a', 'n2'));
    await until(() => state().a === 'n2' && !('b' in state()));
    expect(faults()).toEqual([]);
  });
});

test('closed before it has read, it tells nothing', async () => {
  const path = folder();
  writeFileSync(join(path, 'a.yaml'), pod('a'));
  const { source, told } = listen([path]);
  await source.close();
  await expect(source.loaded).rejects.toThrow('closed before the files were read');
  expect(told).toEqual([]);
});
