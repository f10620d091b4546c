// SPDX-License-Identifier: Apache-2.0
// What the agent knows of its node before anybody says anything.
import { expect, test } from 'vitest';
import type { Env } from '../../src/env.ts';
import { readNodeSettings, type SourceOptions } from '../../src/tasks/agent-sources.ts';

const env = { hostname: () => 'host-1', environ: () => ({}) } as unknown as Env;
const place = { bpffs: '/b', cgroupRoot: '/c', runDir: '/r' };
const read = (options: Partial<SourceOptions>) => readNodeSettings(env, { place, config: [], ...options });

test.each<[string, Partial<SourceOptions>, string]>([
  ['files', { config: ['/etc/kmesh'] }, 'host-1'],
  ['files, and a name', { config: ['/etc/kmesh'], node: 'n1' }, 'n1'],
  ['files, and an empty name, as of a variable that is not set', { config: ['/etc/kmesh'], node: '' }, 'host-1'],
  ['a control plane, and an empty name', { xds: 'a:1', node: '' }, 'host-1'],
])('the name of the node: %s', (_what, options, name) => {
  expect(read(options).node).toBe(name);
});

test('an empty address of a control plane is a fault, also beside files: nobody wants to lose it unnoticed', () => {
  expect(() => read({ config: ['/etc/kmesh'], xds: '' })).toThrow('--xds "" must be HOST:PORT');
});
