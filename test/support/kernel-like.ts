// SPDX-License-Identifier: Apache-2.0
// Compares the kernel's maps with what istiod says it serves.
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { DataPlane } from '../../src/kernel/dataplane.ts';
import { readBackend } from '../../src/tasks/held/backend.ts';
import { type HeldFrontend, readFrontends } from '../../src/tasks/held/frontend.ts';
import { readNames } from '../../src/tasks/held/names.ts';
import type { Istiod } from './istiod.ts';
import type { Node } from './node.ts';
import type { Served } from './served.ts';
import { answerText, type Expected, expectedOf, type Rules } from './ztunnel-rules.ts';

const patienceMs = 90_000;

/** The kernel's answers at every frontend, and at those of `expected` for the same clients. */
function heldAnswers(plane: DataPlane, expected: Expected): ReadonlyMap<string, string> {
  const names = readNames(plane);
  const places = new Map<string, HeldFrontend[]>();
  for (const frontend of readFrontends(plane)) {
    const { address, length, port, protocol } = frontend;
    const text = length === undefined ? address : `${address}/${length}`;
    const at = `${protocol} ${text.includes(':') ? `[${text}]` : text}:${port}`;
    places.set(at, [...(places.get(at) ?? []), frontend]);
  }
  const answer = (id: number): string => {
    if (id === 0) return 'nobody';
    const backend = readBackend(plane, id);
    if (!backend) return `no backend ${id}`;
    const endpoints = backend.endpoints.map((e) => ({
      uid: names.nameOf('workload', e.workloadId),
      address: e.address,
      port: e.port,
      share: e.probability,
    }));
    return answerText(names.nameOf('service', backend.serviceId), backend.passthrough, endpoints);
  };
  const found = new Map<string, string>();
  for (const key of expected.keys()) {
    const [at = '', client = ''] = key.split(' from ');
    const held = places.get(at);
    if (!held) continue;
    const of = (namespace: string | undefined) =>
      held.find(
        (f) => (f.namespaceId === undefined ? undefined : names.nameOf('namespace', f.namespaceId)) === namespace,
      );
    found.set(key, answer((of(undefined) ?? of(client) ?? of(''))?.backendId ?? 0));
  }
  const known = new Set([...expected.keys()].map((key) => key.split(' from ')[0]));
  for (const [at, held] of places) {
    if (known.has(at)) continue;
    for (const frontend of held) found.set(`${at}: not served`, answer(frontend.backendId));
  }
  return found;
}

export interface Taken {
  /** What of it the node takes, when it cannot take all. */
  readonly taken?: (served: Served) => Served;
}

/** Waits until the kernel holds what istiod serves, as the rules have it, and nothing else; tells what differs when it does not. */
export async function expectKernelLikeIstiod(
  node: Node,
  istiod: Istiod,
  { taken = (served: Served) => served, ...rules }: Partial<Rules> & Taken = {},
): Promise<Expected> {
  for (const end = performance.now() + patienceMs; ; await pause(20)) {
    const expected = expectedOf(taken(await istiod.served()), { node: 'node-a', ...rules });
    const held = node.held((plane) => heldAnswers(plane, expected));
    // Of several that the rules allow the one that is there counts.
    const wanted = new Map([...expected].map(([key, any]) => [key, any.find((a) => a === held.get(key)) ?? any[0]]));
    const sorted = (map: ReadonlyMap<string, string | undefined>) => Object.fromEntries([...map].sort());
    if (isDeepStrictEqual(sorted(held), sorted(wanted))) return expected;
    if (performance.now() > end) expect(sorted(held)).toEqual(sorted(wanted));
  }
}
