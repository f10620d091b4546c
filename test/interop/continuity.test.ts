// SPDX-License-Identifier: Apache-2.0
// Connections while everything but the data plane goes away: agents restarted and killed, istiod gone, programs and map layouts swapped.
// wrk and short, lasting and datagram clients run through a service all the time; no request fails, none is reset.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withIstiod } from '../support/istiod.ts';
import { type KubeObject, pod, service } from '../support/kube.ts';
import { type Load, startLoad } from '../support/load.ts';
import { enrollClient, type MeshNode, openMeshNode } from '../support/mesh-node.ts';
import type { AgentProcess } from '../support/node.ts';
import { buildOther, type Edit, type OtherBuild } from '../support/other-build.ts';
import { startWrk, type Wrk } from '../support/wrk.ts';

/** Of another version, with one map of another layout. */
const edits: readonly Edit[] = [
  { file: 'package.json', from: /"version": ".*"/, to: '"version": "78.0.0"' },
  { file: 'bpf/include/kmesh/abi.h', from: /#define KM_ABI_VERSION .*/, to: '#define KM_ABI_VERSION 78' },
  { file: 'src/abi/structs.ts', from: /abiVersion = \d+/, to: 'abiVersion = 78' },
  { file: 'bpf/include/kmesh/abi.h', from: /(struct km_active \{\n)/, to: '$1\t__s64 most;\n' },
  { file: 'bpf/include/kmesh/abi.h', from: /KM_SIZE\(km_active, .*/, to: 'KM_SIZE(km_active, 16);' },
  { file: 'src/abi/structs.ts', from: "struct('km_active', {", to: "struct('km_active', { most: s64," },
];

const ip = (net: number, n: number) => `10.${net}.${n >> 8}.${n & 255}`;

/** 2,000 services of four pods each. */
function crowd(): readonly KubeObject[] {
  const services = Array.from({ length: 2000 }, (_, i) =>
    service(`crowd-${i}`, { namespace: 'crowd', addresses: [ip(110, i)] }),
  );
  const pods = Array.from({ length: 8000 }, (_, i) =>
    pod(`crowd-${i % 2000}-${i}`, {
      namespace: 'crowd',
      addresses: [ip(120, i)],
      app: `crowd-${i % 2000}`,
      node: `node-${i % 40}`,
    }),
  );
  return [...services, ...pods];
}

withIstiod('continuity', () => {
  let mesh: MeshNode;
  let agent: AgentProcess;
  let other: OtherBuild;
  let load: Load;
  let wrks: Wrk[];
  const web = service('web', { addresses: ['10.96.0.1'], ports: { 80: 9000, 8080: 9080 } });
  const frontends = () => mesh.node.held((plane) => plane.map('frontend').count());

  beforeAll(async () => {
    other = buildOther(edits);
    const specs = ['tcp/9000', 'udp/9000', 'http/9080'];
    mesh = await openMeshNode('continuity', ['web-1', 'web-2', 'late-1'], { specs });
    await mesh.istiod.put(web, mesh.podObject('web-1'), mesh.podObject('web-2'));
    agent = await mesh.started();
    await enrollClient(mesh);
  }, 240_000);
  afterAll(async () => {
    await mesh?.close();
    other?.close();
  });
  beforeEach(async () => {
    const client = mesh.lab('client');
    load = await startLoad(client, { host: '10.96.0.1', port: 80, udp: true, pauseMs: 5 });
    const url = 'http://10.96.0.1:8080/';
    wrks = [await startWrk(client, url, { close: true }), await startWrk(client, url, { close: false })];
  });
  /** Ends the clients of a test and holds them to it. */
  const unharmed = async () => {
    const { failures, answers, calls } = await load.end();
    expect(failures).toEqual({});
    expect(Object.keys(answers).sort()).toEqual(['web-1', 'web-2']);
    expect(calls).toBeGreaterThan(100);
    for (const { requests, faults } of await Promise.all(wrks.splice(0).map((wrk) => wrk.end()))) {
      expect(faults).toBe('');
      expect(requests).toBeGreaterThan(10);
    }
  };
  afterEach(async () => {
    for (const wrk of wrks.splice(0)) await wrk.end();
  });

  test('the agent is restarted twenty times, half of them by a kill', async () => {
    for (let i = 0; i < 20; i++) {
      await agent.end(i % 2 === 0 ? 'SIGTERM' : 'SIGKILL');
      agent = await mesh.started();
    }
    await mesh.settled();
    await unharmed();
  });

  test('the agent is killed in the middle of a push of 10,000 resources, and of their removal', async () => {
    const objects = crowd();
    const none = frontends();
    const all = none + 4000;
    /** Lets istiod push, and kills the agent once the kernel holds some of it. How far it was. */
    const killedIn = async (change: Promise<void>, begun: () => boolean) => {
      await mesh.node.until(begun);
      await agent.end('SIGKILL');
      const held = frontends();
      await change;
      agent = await mesh.started();
      await mesh.settled();
      return held;
    };
    let put = all;
    let removed = none;
    // On a machine that stands still now and then the kill may come too late.
    for (let i = 0; i < 5 && (put === all || removed === none); i++) {
      put = await killedIn(mesh.istiod.put(...objects), () => frontends() > none + 50);
      expect(frontends()).toBe(all);
      expect((await mesh.node.kmeshctl('dump', 'diff')).code).toBe(0);
      removed = await killedIn(mesh.istiod.remove(...objects), () => frontends() < all - 50);
      expect(frontends()).toBe(none);
    }
    expect(put).toBeGreaterThan(none);
    expect(put).toBeLessThan(all);
    expect(removed).toBeGreaterThan(none);
    expect(removed).toBeLessThan(all);
    await unharmed();
  }, 240_000);

  test('istiod is gone for a minute, and comes back with changes and removals', async () => {
    const late = service('late', { addresses: ['10.96.0.2'] });
    const gone = service('gone', { addresses: ['10.96.0.3'], app: 'late' });
    const moved = (app: string) => service('moved', { addresses: ['10.96.0.5'], app });
    await mesh.istiod.put(gone, moved('late'), mesh.podObject('late-1'));
    await mesh.settled();
    const before = frontends();
    await mesh.istiod.stop();
    await mesh.istiod.change([late, moved('web')], [gone]);
    const status = async () => (await mesh.node.client.status({})).sources.find((s) => s.xds)?.xds;
    const end = performance.now() + 60_000;
    while (performance.now() < end) {
      await pause(1000);
      expect(await mesh.calls('10.96.0.3', 80, 3)).toEqual({ 'late-1': 3 });
      expect(await mesh.calls('10.96.0.5', 80, 3)).toEqual({ 'late-1': 3 });
    }
    expect((await mesh.node.client.ready({})).ready).toBe(true);
    expect(await status()).toMatchObject({ connected: false, lastFault: expect.stringContaining('ECONNREFUSED') });
    expect(frontends()).toBe(before);
    await mesh.istiod.start();
    // It is asked every 15 seconds at least.
    await mesh.node.until(async () => (await status())?.connected === true);
    await mesh.settled();
    expect(await mesh.calls('10.96.0.2')).toEqual({ 'late-1': 40 });
    expect(Object.keys(await mesh.calls('10.96.0.5')).sort()).toEqual(['web-1', 'web-2']);
    expect(await mesh.calls('10.96.0.3', 80, 1)).not.toHaveProperty('late-1');
    await unharmed();
  }, 240_000);

  test('programs and a map layout of another version are swapped in, and back', async () => {
    expect(await mesh.node.run(other.program, 'upgrade')).toMatchObject({ code: 0 });
    expect(await agent.end('SIGTERM')).toBe(0);
    const second = await mesh.started({ program: other.program });
    await mesh.istiod.put(service('between', { addresses: ['10.96.0.4'], app: 'late' }));
    await mesh.node.until(async () => (await mesh.node.run(other.program, 'dump', 'services')).out.includes('between'));
    expect(await mesh.calls('10.96.0.4')).toEqual({ 'late-1': 40 });
    expect(await second.end('SIGTERM')).toBe(0);
    expect(await mesh.node.kmeshctl('upgrade')).toMatchObject({ code: 0 });
    agent = await mesh.started();
    await mesh.settled();
    expect((await mesh.node.kmeshctl('dump', 'diff')).code).toBe(0);
    await unharmed();
  }, 240_000);
});
