// SPDX-License-Identifier: Apache-2.0
// The reconciler over maps in memory.
import { describe, expect, it } from 'vitest';
import { refusalRemark } from '../../src/agent/findings.ts';
import { openReconciler } from '../../src/agent/reconciler.ts';
import type { Outcome } from '../../src/agent/reconciler-api.ts';
import { KmeshError } from '../../src/errors.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { mortal } from '../support/mortal-plane.ts';
import { normalise } from '../support/normalise.ts';
import {
  addService,
  mesh,
  meshSize,
  open,
  removePod,
  removeService,
  replacePod,
  scratch,
  udpService,
  usedIn,
  view,
} from '../support/small-mesh.ts';

describe('reconciler', () => {
  it('writes nothing before it was told everything', async () => {
    const { plane, reconciler } = open();
    const counted = mortal(plane);
    const early = openReconciler({ plane: counted, view });
    expect(await early.submit(mesh())).toMatchObject({ operations: 0, error: undefined });
    expect(await early.compare()).toEqual([]);
    expect(early.status().started).toBe(false);
    expect(counted.written).toBe(0);
    expect((await reconciler.replaceAll(mesh())).operations).toBeGreaterThan(0);
    expect(reconciler.status().started).toBe(true);
  });

  it('comes by changes to what it would have come to at once', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh());
    const changes = [...replacePod(3, 1), removePod(4), removeService(2), addService(17), udpService(1)];
    for (const change of changes) await reconciler.submit([change]);
    await reconciler.idle();
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(), ...changes])));
    expect(usedIn(plane)).toEqual(usedIn(await scratch([...mesh(), ...changes])));
    expect(await reconciler.compare()).toEqual([]);
  });

  it('goes in no more once it is closed, also behind a grace period that ends then', async () => {
    const plane = openMemory();
    let wait = false;
    let end: (() => void) | undefined;
    const grace = () =>
      new Promise<void>((resolve) => {
        if (wait) end = resolve;
        else resolve();
      });
    const held = Object.assign(Object.create(plane), { grace }) as typeof plane;
    let entered = 0;
    const reconciler = openReconciler({
      ...{ plane: held, view },
      enter: async () => {
        entered++;
        return { plane: held, leave: () => {} };
      },
    });
    await reconciler.replaceAll(mesh());
    await reconciler.idle();
    wait = true;
    await reconciler.submit([removeService(2)]);
    expect(end).toBeDefined();
    await reconciler.close();
    const before = entered;
    end?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(entered).toBe(before);
  });

  it('takes changes that come meanwhile together', async () => {
    const outcomes: Outcome[] = [];
    const { plane, reconciler } = open({}, { onBatch: (outcome) => outcomes.push(outcome) });
    const all = [reconciler.replaceAll(mesh())];
    await Promise.resolve();
    for (let version = 1; version <= 20; version++) all.push(reconciler.submit(replacePod(3, version)));
    await Promise.all(all);
    await reconciler.idle();
    expect(outcomes.length).toBeLessThanOrEqual(2);
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(), removePod(3), ...replacePod(3, 20)])));
  });

  it('takes over what an earlier one left without writing anything', async () => {
    const plane = await scratch(mesh());
    const counted = mortal(plane);
    const next = openReconciler({ plane: counted, view });
    expect((await next.replaceAll(mesh())).operations).toBe(0);
    await next.idle();
    expect(counted.written).toBe(0);
    expect(await next.submit(replacePod(1, 1))).toMatchObject({ error: undefined });
  });

  it('replaces everything, and compiles again for another node', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh());
    const other = mesh({ services: 3, workloads: 9, perNode: 3 });
    await reconciler.replaceAll(other);
    await reconciler.idle();
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch(other)));
    const before = normalise(plane).clients;
    await reconciler.setView({ ...view, node: 'node-1' });
    expect(reconciler.view.node).toBe('node-1');
    expect(Object.keys(normalise(plane).clients)).not.toEqual(Object.keys(before));
  });

  it('reads the kernel again and goes on after a failed write', async () => {
    const errors: (string | undefined)[] = [];
    const { plane, reconciler } = open({}, { onError: (error) => errors.push(error?.code) });
    await reconciler.replaceAll(mesh());
    plane.failNext('endpoint', 'EIO', 2);
    const outcome = await reconciler.submit(replacePod(3, 1));
    expect(outcome.error).toBeUndefined();
    expect(errors).toEqual(['KM_MAP', undefined]);
    await reconciler.idle();
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(), ...replacePod(3, 1)])));
    expect(usedIn(plane)).toEqual(usedIn(await scratch([...mesh(), ...replacePod(3, 1)])));
  });

  it('says that the kernel cannot be written, and catches up when it can be', async () => {
    const plane = openMemory();
    const broken = { ...plane, map: plane.map, broken: false };
    const failing = {
      ...plane,
      map: ((name) => {
        if (broken.broken && name === 'backend') throw new KmeshError('KM_MAP', 'map "backend": update failed: EIO');
        return plane.map(name);
      }) as typeof plane.map,
    };
    const reconciler = openReconciler({ plane: failing, view });
    await reconciler.replaceAll(mesh());
    broken.broken = true;
    expect((await reconciler.submit([removeService(1)])).error?.code).toBe('KM_MAP');
    expect((await reconciler.submit([removeService(2)])).error?.code).toBe('KM_MAP');
    expect(reconciler.status().error?.code).toBe('KM_MAP');
    broken.broken = false;
    expect((await reconciler.submit([])).error).toBeUndefined();
    await reconciler.idle();
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(), removeService(1), removeService(2)])));
  });

  it('finds what somebody else changed, and repairs it', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh());
    const [key] = [...plane.map('frontend').entries()][0] ?? [];
    if (key) plane.map('frontend').delete([key]);
    plane.map('frontend').put([
      [
        { addr: '10.9.9.9', port: 1, protocol: 6 },
        { backend_id: 1, tag: 1 },
      ],
    ]);
    plane.map('backend').delete([2]);
    const names = (list: readonly { what: string; state: string }[]) => list.map((d) => `${d.what} ${d.state}`).sort();
    const expected = ['backend missing', 'frontend missing', 'frontend unexpected'];
    expect(names(await reconciler.compare())).toEqual(expected);
    expect(names(await reconciler.repair())).toEqual(expected);
    expect(reconciler.status().repairs).toBe(3);
    expect(await reconciler.repair()).toEqual([]);
    await reconciler.idle();
    expect(normalise(plane)).toEqual(normalise(await scratch(mesh())));
    await reconciler.submit(replacePod(3, 1));
    expect(await reconciler.compare()).toEqual([]);
  });

  it('repairs while changes keep coming', async () => {
    const { plane, reconciler } = open({}, { repairPauseMs: 1 });
    await reconciler.replaceAll(mesh());
    plane.map('backend').delete([2]);
    let repaired = false;
    const repair = reconciler.repair().then((found) => {
      repaired = true;
      return found;
    });
    for (let version = 1; !repaired; version++) await reconciler.submit(replacePod(5, version));
    expect((await repair).map((d) => d.state)).toEqual(['missing']);
    await reconciler.idle();
    expect(await reconciler.compare()).toEqual([]);
  });

  it('seeks a quiet moment for a repair, and gives that up when it is closed', async () => {
    const { plane, reconciler } = open({}, { repairPauseMs: 600_000 });
    await reconciler.replaceAll(mesh());
    plane.map('backend').delete([2]);
    const repair = reconciler.repair();
    for (let version = 1; version < 20; version++) await reconciler.submit(replacePod(5, version));
    await reconciler.close();
    // Whether there was such a moment or not: it does not wait for another one.
    expect((await repair).length).toBeLessThanOrEqual(1);
  });

  it('refuses what does not fit, says so by name, and takes it as soon as there is room', async () => {
    const full: string[] = [];
    // 6 ranges of 6 slots, and no second one of that length.
    const { plane, reconciler } = open({ endpoint: 1 + 36 + 4 }, { onNearlyFull: (map) => full.push(map) });
    await reconciler.replaceAll(mesh());
    expect(full).toEqual(['endpoint']);
    const outcome = await reconciler.submit(replacePod(0, 1));
    expect(outcome.refused.map(refusalRemark)).toEqual([
      {
        place: '',
        resource: 'service team-0/app-0.team-0.svc.cluster.local',
        field: '',
        reason:
          'map "endpoint" has no room: 6 slots in a row needed, 4 free (--max-endpoints gives it more); it stays as it was',
      },
    ]);
    expect((await reconciler.compare()).map((d) => [d.what, d.state])).toEqual([['service', 'refused']]);
    await reconciler.submit([removeService(5)]);
    await reconciler.idle();
    await reconciler.reclaim();
    expect(reconciler.status().refused).toEqual([]);
    expect(full).toEqual(['endpoint']);
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(), ...replacePod(0, 1), removeService(5)])));
  });

  it('releases idle ids by itself when only they take the room', async () => {
    const { plane, reconciler } = open({ active: 32 });
    await reconciler.replaceAll(mesh());
    for (let version = 1; version < 8; version++) {
      expect((await reconciler.submit(replacePod(3, version))).refused).toEqual([]);
      await reconciler.idle();
    }
    expect(await reconciler.compare()).toEqual([]);
    expect(usedIn(plane).active).toBeLessThanOrEqual(32);
  });

  it('keeps ids that a socket or an enrolled cgroup names', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh());
    const uids = [3, 9].map((n) => replacePod(n, 1)[0] as { uid: string });
    const [socket, cgroup] = uids.map(({ uid }) => reconciler.idOf('workload', uid) as number);
    plane.setSockets([
      { cookie: 1n, workload_id: 0, flags: 0, backend_id: 0, peer_workload_id: socket as number, service_id: 0 },
    ]);
    plane.map('enrolled').put([[7n, { workload_id: cgroup as number, flags: 0 }]]);
    await reconciler.submit([removePod(3), removePod(9), removePod(15)]);
    await reconciler.idle();
    // The third pod, and the namespace that had no other client on this node.
    expect(await reconciler.reclaim()).toBe(2);
    expect(reconciler.status().idleIds).toBe(2);
    // Its own name gets it back.
    await reconciler.submit([replacePod(3, 0)[1] as never]);
    expect(reconciler.idOf('workload', uids[0]?.uid as string)).toBe(socket);
    plane.setSockets([]);
    plane.map('enrolled').delete([7n]);
    await reconciler.idle();
    expect(await reconciler.reclaim()).toBe(1);
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(), removePod(9), removePod(15)])));
  });

  it('clears the count of a workload whose id it frees', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh());
    const id = reconciler.idOf('workload', (replacePod(3, 1)[0] as { uid: string }).uid) as number;
    plane.map('active').put([[id, { connections: 5n }]]);
    await reconciler.submit([removePod(3)]);
    await reconciler.idle();
    await reconciler.reclaim();
    expect(plane.map('active').get(id)).toEqual({ connections: 0n });
  });

  it('attaches the UDP hooks while there are UDP frontends, and sweeps when their endpoints leave', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh());
    expect(plane.udpHooks).toBe(false);
    await reconciler.submit([udpService(1)]);
    expect(plane.udpHooks).toBe(true);
    await reconciler.submit([removePod(0)]);
    await reconciler.idle();
    expect(plane.sweeps).toBe(0);
    await reconciler.submit([removePod(1)]);
    await reconciler.idle();
    expect(plane.sweeps).toBe(1);
    await reconciler.submit([addService(1)]);
    await reconciler.idle();
    expect(plane.udpHooks).toBe(false);
    expect(plane.sweeps).toBe(2);
  });

  it('sweeps when it takes over: who was there before may not have come to that', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll([...mesh(), udpService(1)]);
    await reconciler.submit([removePod(1)]);
    await reconciler.close();
    await reconciler.idle();
    const before = plane.sweeps;
    const next = openReconciler({ plane, view });
    await next.replaceAll([...mesh(), udpService(1), removePod(1)]);
    await next.idle();
    expect(plane.sweeps).toBe(before + 1);
    await next.submit([addService(5)]);
    await next.idle();
    expect(plane.sweeps).toBe(before + 1);
  });

  it('goes on with other maps after a swap', async () => {
    const { reconciler } = open({ endpoint: 24 });
    expect((await reconciler.replaceAll(mesh())).refused.length).toBeGreaterThan(0);
    const larger = openMemory();
    expect(await reconciler.swap(async () => larger)).toMatchObject({ refused: [], error: undefined });
    await reconciler.idle();
    expect(normalise(larger)).toEqual(normalise(await scratch(mesh())));
    expect(larger.udpHooks).toBe(false);
    expect(reconciler.fill()?.endpoint.used).toBe(36);
  });

  it('enters before it touches the kernel, leaves after, and follows to other pins', async () => {
    let plane = openMemory();
    let inside = 0;
    const trace: string[] = [];
    const reconciler = openReconciler({
      plane,
      view,
      enter: async () => {
        if (trace.at(-1) === 'locked') throw new KmeshError('KM_BUSY', 'somebody else has the lock');
        inside++;
        expect(inside).toBe(1);
        return { plane, leave: () => void inside-- };
      },
      onBatch: () => void trace.push(`batch inside ${inside}`),
    });
    await reconciler.replaceAll(mesh());
    plane = await scratch(mesh());
    await reconciler.submit(replacePod(3, 1));
    await reconciler.idle();
    expect(await reconciler.compare()).toEqual([]);
    trace.push('locked');
    expect((await reconciler.submit(replacePod(3, 2))).error?.code).toBe('KM_BUSY');
    await expect(reconciler.repair()).rejects.toMatchObject({ code: 'KM_BUSY' });
    trace.push('free');
    expect((await reconciler.submit([])).error).toBeUndefined();
    await reconciler.idle();
    await reconciler.reclaim();
    expect(inside).toBe(0);
    expect(trace.filter((t) => t.startsWith('batch')).every((t) => t === 'batch inside 1')).toBe(true);
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(), removePod(3), ...replacePod(3, 2)])));
  });

  it('stops where it is when it is closed; the next one completes it', async () => {
    const size = { services: 300, workloads: 3000, perNode: 100 };
    const { plane, reconciler } = open();
    const under = reconciler.replaceAll(mesh(size));
    setImmediate(() => setImmediate(() => void reconciler.close()));
    await under;
    await reconciler.close();
    const next = openReconciler({ plane, view });
    expect((await next.replaceAll(mesh(size))).error).toBeUndefined();
    await next.idle();
    expect(normalise(plane)).toEqual(normalise(await scratch(mesh(size))));
    expect(meshSize.services).toBe(6);
  });
});
