// SPDX-License-Identifier: Apache-2.0
// Several files together: who counts, what stays when it breaks, what goes.
import { beforeEach, describe, expect, test } from 'vitest';
import { type Folder, openFolder } from '../../../src/source/file/folder.ts';
import type { MeshObject } from '../../../src/source/file/objects.ts';
import { readFileText, unreadable } from '../../../src/source/file/read.ts';
import { dedent, lines } from './texts.ts';

const pod = (name: string, node: string) =>
  dedent(`
  ---
  apiVersion: v1
  kind: Pod
  metadata: {name: ${name}}
  spec: {nodeName: ${node}}
`);
const broken = (name: string) => pod(name, '7');
const unclosed = '---\n{"x": ';

let folder: Folder;
beforeEach(() => {
  folder = openFolder();
  folder.order(['a', 'b', 'c']);
});

/** Puts files; tells which node each object that changed is on now. */
function put(files: Record<string, string | undefined>): Record<string, string | undefined> {
  const read = Object.entries(files).map(
    ([name, text]) => [name, text === undefined ? undefined : readFileText(name, text)] as const,
  );
  return Object.fromEntries([...folder.update(read)].map(([identity, object]) => [identity, nodeOf(object)]));
}

const nodeOf = (object: MeshObject | undefined) => (object?.kind === 'Pod' ? object.node : undefined);
const faults = () => lines(folder.report([]).faults);

test('objects come, change and go with their files', () => {
  expect(put({ a: pod('x', 'one') + pod('y', 'one') })).toEqual({ 'Pod default/x': 'one', 'Pod default/y': 'one' });
  expect(put({ a: pod('x', 'two') })).toEqual({ 'Pod default/x': 'two', 'Pod default/y': undefined });
  expect(put({ a: undefined })).toEqual({ 'Pod default/x': undefined });
  expect(folder.report([])).toMatchObject({ files: 0, objects: 0, faults: [] });
});

describe('last good version', () => {
  test('stays while its document is broken, over several readings', () => {
    put({ a: pod('x', 'one') });
    expect(put({ a: broken('x') })).toEqual({});
    expect(faults()).toEqual([
      'a:5:18: Pod default/x: spec.nodeName: must be text, not the number 7 (put it in quotes) (the version read before stays)',
    ]);
    expect(put({ a: `${broken('x')}\n# still` })).toEqual({});
    expect(folder.report([]).objects).toBe(1);
    expect(put({ a: pod('x', 'two') })).toEqual({ 'Pod default/x': 'two' });
    expect(faults()).toEqual([]);
  });

  test('is absent when there never was one', () => {
    expect(put({ a: broken('x') })).toEqual({});
    expect(folder.report([])).toMatchObject({ objects: 0, files: 1 });
    expect(faults()).toEqual([
      'a:5:18: Pod default/x: spec.nodeName: must be text, not the number 7 (put it in quotes)',
    ]);
  });

  test('stays when its document moves to another file and breaks', () => {
    put({ a: pod('x', 'one'), b: '' });
    expect(put({ a: '', b: broken('x') })).toEqual({});
    expect(put({ a: '', b: broken('x') })).toEqual({});
  });

  test('of all that a file lost, when it cannot be told which document is broken', () => {
    put({ a: pod('x', 'one') + pod('y', 'one') });
    expect(put({ a: pod('x', 'two') + unclosed })).toEqual({ 'Pod default/x': 'two' });
    expect(faults().every((line) => line.endsWith('(the version read before stays)'))).toBe(true);
    expect(put({ a: pod('x', 'two') })).toEqual({ 'Pod default/y': undefined });
  });

  test('of a file that cannot be read', () => {
    put({ a: pod('x', 'one') });
    expect([...folder.update([['a', unreadable('a', 'may not be read')]])]).toEqual([]);
    expect(faults()).toEqual(['a: may not be read (the version read before stays)']);
  });

  test('goes with its file', () => {
    put({ a: pod('x', 'one') });
    put({ a: broken('x') });
    expect(put({ a: undefined })).toEqual({ 'Pod default/x': undefined });
    expect(faults()).toEqual([]);
  });
});

describe('the same object twice', () => {
  test('in one file: the first counts', () => {
    expect(put({ a: pod('x', 'one') + pod('x', 'two') })).toEqual({ 'Pod default/x': 'one' });
    expect(faults()).toEqual([
      'a:9:18: Pod default/x: metadata.name: is defined at a:4:18 already; this document is left out',
    ]);
  });

  test('in two files: the first by order of the files, whichever came first', () => {
    put({ b: pod('x', 'two') });
    expect(put({ a: pod('x', 'one') })).toEqual({ 'Pod default/x': 'one' });
    expect(faults()).toEqual([
      'b:4:18: Pod default/x: metadata.name: is defined at a:4:18 already; this document is left out',
    ]);
    expect(put({ c: pod('x', 'three') })).toEqual({});
    expect(faults().length).toBe(2);
    expect(put({ a: undefined })).toEqual({ 'Pod default/x': 'two' });
    expect(faults()).toEqual([
      'c:4:18: Pod default/x: metadata.name: is defined at b:4:18 already; this document is left out',
    ]);
  });
});

test('complaints are in order of files and lines, what is ignored is added up', () => {
  const other = '---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n';
  put({ b: `${broken('x')}${broken('y')}`, a: `${broken('z')}`, c: `${other}${other}` });
  put({ a: `${broken('z')}${other}` });
  const report = folder.report([]);
  expect(report.faults.map((f) => `${f.file}:${f.line}`)).toEqual(['a:5', 'b:5', 'b:10']);
  expect(report.ignored).toEqual([{ what: 'apps/v1 Deployment', count: 3, first: { file: 'a', line: 7, column: 1 } }]);
});
