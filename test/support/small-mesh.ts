// SPDX-License-Identifier: Apache-2.0
// A reconciler over maps in memory, and what tests ask of it.
import { type MeshSize, meshChanges, meshService, meshServiceKey, meshWorkload } from '../../bench/model.ts';
import { openReconciler } from '../../src/agent/reconciler.ts';
import type { Reconciler, ReconcilerOptions } from '../../src/agent/reconciler-api.ts';
import { fillOf } from '../../src/compile/image.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';
import type { Change, NodeView } from '../../src/mesh/model.ts';
import { imageOf } from './plans.ts';

export const view: NodeView = {
  node: 'node-0',
  network: '',
  clusterId: 'Kubernetes',
  locality: { region: 'r1', zone: 'z0', subzone: '' },
};

export const meshSize: MeshSize = { services: 6, workloads: 30, perNode: 10 };
export const mesh = (size: MeshSize = meshSize): Change[] => [...meshChanges(size)];

/** Pod `n` taken away, and another in its place. */
export function replacePod(n: number, version: number, size: MeshSize = meshSize): Change[] {
  return [
    { kind: 'remove-workload', uid: meshWorkload(n, size, version - 1).uid },
    { kind: 'put-workload', workload: meshWorkload(n, size, version) },
  ];
}

export const removePod = (n: number): Change => ({ kind: 'remove-workload', uid: meshWorkload(n, meshSize).uid });
export const addService = (n: number): Change => ({ kind: 'put-service', service: meshService(n) });
export const removeService = (n: number): Change => ({ kind: 'remove-service', key: meshServiceKey(n) });

/** Service `n` with a UDP port of number 53. */
export function udpService(n: number): Change {
  const service = meshService(n);
  const dns = { port: 53, targetPort: 5353, protocol: 'udp', name: 'dns', appProtocol: '' } as const;
  return { kind: 'put-service', service: { ...service, ports: [...service.ports, dns] } };
}

export interface Opened {
  readonly plane: MemoryDataPlane;
  readonly reconciler: Reconciler;
}

export function open(sizes: MapSizes = {}, options: Partial<ReconcilerOptions> = {}): Opened {
  const plane = openMemory(sizes);
  return { plane, reconciler: openReconciler({ plane, view, ...options }) };
}

/** A kernel that never held anything but this. */
export async function scratch(changes: readonly Change[], sizes: MapSizes = {}): Promise<MemoryDataPlane> {
  const { plane, reconciler } = open(sizes);
  await reconciler.replaceAll(changes);
  await reconciler.idle();
  return plane;
}

/** Entries, ids and slots in use, by what the pins say. */
export function usedIn(plane: MemoryDataPlane): Record<string, number> {
  return Object.fromEntries(Object.entries(fillOf(imageOf(plane))).map(([map, fill]) => [map, fill.used]));
}
