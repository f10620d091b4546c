// SPDX-License-Identifier: Apache-2.0
// The waypoint commands as they are shipped: what needs no cluster needs none of the libraries that speak to one.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { namespaces } from '../../src/kube/object.ts';
import { type KubeApi, startKube, withKube } from '../support/kube-api.ts';
import { bin } from '../support/machine.ts';
import { project } from '../support/project.ts';
import { home } from '../support/waypoint-objects.ts';

function run(program: string, words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...words], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...env },
  });
  return { code: status, stdout, stderr };
}

test('help and generate load no library but what is bundled', () => {
  const folder = mkdtempSync(join(tmpdir(), 'km-bare-'));
  try {
    for (const part of ['bin', 'dist', 'package.json'])
      cpSync(join(project, part), join(folder, part), { recursive: true });
    const bare = join(folder, 'bin/kmeshctl.js');
    for (const words of [['--help'], ['waypoint', '--help'], ['waypoint', 'apply', '--help']]) {
      expect(run(bare, words), words.join(' ')).toMatchObject({ code: 0, stderr: '' });
    }
    expect(run(bare, ['waypoint', 'generate', '--envoyfilter']).stdout).toMatch(/^apiVersion: networking.istio.io/);
    // They are not there indeed.
    expect(run(bare, ['waypoint', 'list']).stderr).toContain('@kubernetes/client-node');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

withKube('shipped', () => {
  let kube: KubeApi;
  beforeAll(async () => {
    kube = await startKube();
    await kube.define('gateways.gateway.networking.k8s.io');
    await kube.define('gatewayclasses.gateway.networking.k8s.io');
    await kube.put(namespaces, home());
  });
  afterAll(() => kube?.close());

  test('apply, list, delete by the program itself', () => {
    const env = { KUBECONFIG: kube.kubeconfig({ namespace: 'shop' }) };
    const ran = (line: string) => run(bin, ['waypoint', ...line.split(' ')], env);
    expect(ran('apply --name edge').stdout).toContain('waypoint shop/edge applied: created\n');
    const { code, stdout, stderr } = ran('list -o json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout).waypoints).toMatchObject([{ namespace: 'shop', name: 'edge', programmed: 'unknown' }]);
    expect(ran('delete edge')).toEqual({ code: 0, stdout: 'waypoint shop/edge deleted\n', stderr: '' });
    expect(ran('delete edge')).toMatchObject({ code: 1, stdout: 'waypoint shop/edge not found\n' });
  });
});
