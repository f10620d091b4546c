// SPDX-License-Identifier: Apache-2.0
// What `check` asks: the kernel's features, other people's programs, the state of the pins.
import { closeSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { hookPrograms } from '../../src/kernel/hook-programs.ts';
import { libbpf } from '../../src/kernel/libbpf.ts';
import { load } from '../../src/kernel/load.ts';
import { checkPins } from '../../src/kernel/pin-check.ts';
import { pin, pinFolders, unpin } from '../../src/kernel/pins.ts';
import { hasHelper, probeCapabilities, probeKernel, probeLibbpf } from '../../src/kernel/probe.ts';
import { pinnedPrograms } from '../../src/kernel/programs.ts';
import { openSite, type Site } from '../support/site.ts';
import { openTinyObjects } from '../support/tiny-objects.ts';

const tiny = openTinyObjects();
const objects = tiny.folder();
afterAll(() => tiny.close());

let site: Site;
beforeEach(() => {
  site = openSite('probe');
});
afterEach(() => site.close());

test('this kernel has what the programs need', () => {
  const facts = probeKernel();
  const missing = [...facts.hooks, ...facts.mapTypes, ...facts.helpers, ...facts.functions].filter((f) => !f.present);
  expect(missing).toEqual([]);
  expect(facts).toMatchObject({ btf: true, libbpf: expect.stringMatching(/^1\.\d/) });
  expect(probeLibbpf()).toEqual({ version: facts.libbpf });
  expect(probeCapabilities().every((c) => c.held)).toBe(true);
});

test('a helper that is not there, or not for this hook, is told from one that is', () => {
  const redirect = 23;
  expect(hasHelper('connect4', redirect)).toBe(false);
  expect(hasHelper('connect4', 9999)).toBe(false);
  expect(hasHelper('connect4', 46)).toBe(true);
});

test('programs on the hooks are listed in running order, those of cgroups above included', () => {
  expect(hookPrograms(site.cgroupRoot)).toEqual([]);
  load({ ...site.options, objects });
  const inner = join(site.cgroupRoot, 'inner');
  mkdirSync(inner);
  const id = pinnedPrograms(site.bpffs).find((p) => p.name === 'connect4')?.id;
  const expected = [{ hook: 'connect4', order: 1, id, name: 'connect4' }];
  expect(hookPrograms(site.cgroupRoot)).toEqual(expected);
  expect(hookPrograms(inner)).toEqual(expected);
  rmdirSync(inner);
});

test('pins: none, whole, of another layout, with leftovers', () => {
  expect(checkPins('/tmp')).toMatchObject({ onBpffs: false, loaded: false });
  expect(checkPins(site.bpffs)).toMatchObject({ onBpffs: true, loaded: false, links: [], faults: [] });
  load({ ...site.options, objects });
  expect(checkPins(site.bpffs)).toMatchObject({ loaded: true, links: ['connect4'], faults: [], leftovers: [] });
  expect(checkPins(site.bpffs).version?.version).toBe('0.0.0-test');

  const folders = pinFolders(site.bpffs);
  const fd = libbpf().bpf_map_create(2, 'robin', 4, 16, 10, null);
  unpin(join(folders.maps, 'robin'));
  pin(fd, join(folders.maps, 'robin'));
  closeSync(fd);
  unpin(join(folders.maps, 'level'));
  mkdirSync(folders.mapsNext);
  const state = checkPins(site.bpffs);
  expect([...state.faults].sort()).toEqual([
    'map "level" is not pinned',
    'map "robin": value size is 16 in the kernel or object, 8 in the table',
  ]);
  expect(state.leftovers).toEqual([folders.mapsNext]);
});
