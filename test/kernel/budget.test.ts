// SPDX-License-Identifier: Apache-2.0
// What the loaded programs and empty maps cost: verifier work by program, and memory.
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MapName, maps } from '../../src/abi/maps.ts';
import { type Lab, openLab } from '../../src/demo/lab.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { pinnedPrograms } from '../../src/kernel/programs.ts';
import { type Instance, openInstance } from '../support/instance.ts';

let lab: Lab;
let instance: Instance;

beforeAll(async () => {
  const name = `km-budget-${process.pid}`;
  lab = await openLab(name, join(cgroupMount(), name));
  instance = await openInstance(lab.cgroupRoot);
});

afterAll(async () => {
  await instance?.close();
  await lab?.close();
});

/** Bytes that the kernel accounts to a map. */
function memory(map: MapName): number {
  const text = readFileSync(`/proc/self/fdinfo/${instance.plane.fd(map)}`, 'utf8');
  return Number(/^memlock:\s*(\d+)$/m.exec(text)?.[1]);
}

/** Of the maps that only pods need whose connections are judged. */
const judging: ReadonlySet<MapName> = new Set<MapName>(['denial_limit', 'denials', 'listening', 'pod_address', 'sent']);

test('empty maps of the default sizes take at most 40 MB, and those of authorization 15 MB', () => {
  const sizes = (Object.keys(maps) as MapName[]).map((name) => [name, memory(name)] as const);
  for (const [name, bytes] of sizes) expect(bytes, name).toBeGreaterThanOrEqual(0);
  const total = (authz: boolean) =>
    sizes.reduce(
      (sum, [name, bytes]) => ((name.startsWith('authz_') || judging.has(name)) === authz ? sum + bytes : sum),
      0,
    );
  for (const [authz, limit] of [
    [false, 40e6],
    [true, 15e6],
  ] as const) {
    expect(total(authz)).toBeGreaterThan(1e6);
    expect(total(authz), JSON.stringify(Object.fromEntries(sizes))).toBeLessThanOrEqual(limit);
  }
});

/** Table kept beside this test: kernel release line, then "program instructions". Refreshed by `vitest -u` on that kernel. */
test('the verifier goes through as many instructions as the table says', async () => {
  const kernel = release().split('.').slice(0, 2).join('.');
  const lines = pinnedPrograms(instance.place.bpffs)
    .map((p) => `${p.name} ${p.verifiedInstructions}`)
    .sort();
  const table = `kernel ${kernel}\n${lines.join('\n')}\n`;
  expect(lines.length).toBeGreaterThan(10);
  await expect(table).toMatchFileSnapshot('verifier.txt');
});
