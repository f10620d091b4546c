// SPDX-License-Identifier: Apache-2.0
// An agent killed at any entry while services, pods and waypoints exchange addresses: nobody goes past a waypoint, and the next agent ends up where a new one would.
import { expect, test } from 'vitest';
import { openReconciler } from '../../src/agent/reconciler.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import type { Change } from '../../src/mesh/model.ts';
import { openBuilder } from '../../src/source/file/build/builder.ts';
import { openFolder } from '../../src/source/file/folder.ts';
import { readFileText } from '../../src/source/file/read.ts';
import { mortal } from '../support/mortal-plane.ts';
import { normalise } from '../support/normalise.ts';
import { look, namesIn, type Seen } from '../support/simulated-reader.ts';
import { scratch, usedIn, view } from '../support/small-mesh.ts';

const gateway = (name: string, value: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: shop}
spec: {gatewayClassName: kmesh-waypoint, addresses: [{type: IPAddress, value: ${value}}]}
---`;
const service = (name: string, ip: string, via = '') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {${via && `istio.io/use-waypoint: ${via}`}}}
spec: {clusterIP: ${ip}, selector: {app: ${name}}, ports: [{port: 80, targetPort: 8080}]}
---`;
const pod = (name: string, ip: string, via = '') => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}-1, namespace: shop, labels: {app: ${name}, ${via && `istio.io/use-waypoint: ${via}`}}}
spec: {nodeName: node-0, containers: [{name: c}]}
status: {podIP: ${ip}, phase: Running, conditions: [{type: Ready, status: "True"}]}
---`;

const [kept, other] = ['10.0.0.1', '10.0.0.2'];
const texts = [
  gateway('one', '10.1.0.1') +
    gateway('two', '10.1.0.2') +
    service('cart', kept, 'one') +
    service('open', other) +
    pod('cart', '10.1.0.3') +
    pod('open', '10.1.0.4'),
  // The waypoint, and the pod that was behind it.
  gateway('one', '10.1.0.3') +
    gateway('two', '10.1.0.2') +
    service('cart', kept, 'one') +
    service('open', other) +
    pod('cart', '10.1.0.1') +
    pod('open', '10.1.0.4'),
  // Both waypoints, and which is used.
  gateway('one', '10.1.0.2') +
    gateway('two', '10.1.0.3') +
    service('cart', kept, 'two') +
    service('open', other) +
    pod('cart', '10.1.0.1') +
    pod('open', '10.1.0.4'),
  // Pods of a service that goes through one and of another that does not.
  gateway('one', '10.1.0.2') +
    gateway('two', '10.1.0.3') +
    service('cart', kept, 'two') +
    service('open', other) +
    pod('cart', '10.1.0.4') +
    pod('open', '10.1.0.1', 'one'),
  // What is dialled.
  gateway('one', '10.1.0.2') +
    gateway('two', '10.1.0.3') +
    service('cart', other, 'one') +
    service('open', kept, 'one') +
    pod('cart', '10.1.0.4') +
    pod('open', '10.1.0.1'),
  // All of it back.
  gateway('one', '10.1.0.1') +
    gateway('two', '10.1.0.2') +
    service('cart', kept, 'one') +
    service('open', other, 'two') +
    pod('cart', '10.1.0.3') +
    pod('open', '10.1.0.4'),
];

/** What each version changes, when it comes after the one before. */
function changes(): readonly (readonly Change[])[] {
  const folder = openFolder();
  folder.order(['a.yaml']);
  const builder = openBuilder();
  return texts.map((text) => builder.update(folder.update(new Map([['a.yaml', readFileText('a.yaml', text)]]))));
}

function seenIn(plane: MemoryDataPlane, address = kept): Seen {
  return look(plane, { address, port: 80, protocol: 'tcp', namespaceId: 0 }, namesIn(plane));
}

async function live(plane: MemoryDataPlane, life?: number): Promise<number> {
  const own = mortal(plane, life);
  const reconciler = openReconciler({ plane: own, view });
  const [first = [], ...rest] = changes();
  await reconciler.replaceAll(first);
  for (const update of rest) {
    await reconciler.submit(update);
    await reconciler.reclaim().catch(() => 0);
  }
  await reconciler.close();
  return own.written;
}

test('exchanges of addresses, cut at every entry', async () => {
  const steps = changes();
  const states = await Promise.all(steps.map((_, i) => scratch(steps.slice(0, i + 1).flat())));
  const seenEver = states.flatMap((plane) => [seenIn(plane, kept), seenIn(plane, other)]);
  expect(states.every((plane) => seenIn(plane).via !== '')).toBe(true);
  const target = await scratch(steps.flat());
  const total = await live(openMemory());
  const died = new Set<string>();
  for (let life = 0; life < total; life++) {
    const plane = openMemory();
    await live(plane, life);
    const seen = seenIn(plane);
    died.add(seen.backend + seen.via);
    // Before anything is known of the address it is left alone; from then on it is led through a waypoint, to the end.
    if (seen.backend !== 'unknown') {
      expect([life, seen.via]).not.toEqual([life, '']);
      for (const field of ['backend', 'set', 'via', 'viaSet'] as const) {
        const ever = seenEver.map((one) => one[field]);
        expect([life, field, ever]).toEqual([life, field, expect.arrayContaining([seen[field]])]);
      }
    }
    const next = openReconciler({ plane, view });
    expect((await next.replaceAll(steps.flat())).error).toBeUndefined();
    await next.idle();
    await next.reclaim();
    expect(await next.compare()).toEqual([]);
    await next.close();
    expect([life, normalise(plane), usedIn(plane)]).toEqual([life, normalise(target), usedIn(target)]);
  }
  expect(died.size).toBeGreaterThan(3);
}, 300_000);

test('what waypoints are told of a pod that an agent was killed over while it took it out, and that is back', async () => {
  const [first = []] = changes();
  const target = await scratch(first);
  const plane = await scratch(first);
  const client = plane.map('client');
  client.delete([...client.entries()].map(([id]) => id));
  const next = openReconciler({ plane, view });
  await next.replaceAll(first);
  expect(await next.compare()).toEqual([]);
  await next.close();
  expect(usedIn(target).waypoint_client).toBeGreaterThan(0);
  expect([normalise(plane), usedIn(plane)]).toEqual([normalise(target), usedIn(target)]);
});
