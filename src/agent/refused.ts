// SPDX-License-Identifier: Apache-2.0
// What a plan left out is tried again with every later one.
import type { Refusal } from '../compile/plan.ts';
import type { Wanted, WantedDelta } from '../compile/wanted.ts';

export const nothing: WantedDelta = { backends: new Map(), frontends: new Map(), clients: new Map(), ports: new Map() };

/** Whether anything of it would be planned if there were more room. */
export function lacksRoom(refused: readonly Refusal[]): boolean {
  return refused.some(({ shortage }) => shortage !== undefined);
}

function add<T>(
  delta: ReadonlyMap<string, T | undefined>,
  names: readonly string[],
  wanted: ReadonlyMap<string, T>,
): ReadonlyMap<string, T | undefined> {
  if (names.length === 0) return delta;
  const out = new Map(delta);
  for (const name of names) if (!out.has(name)) out.set(name, wanted.get(name));
  return out;
}

/** `delta`, and all that was refused as it is wanted now. */
export function withRefused(delta: WantedDelta, refused: readonly Refusal[], wanted: Wanted): WantedDelta {
  if (refused.length === 0) return delta;
  const workloads = refused.map((r) => r.workload).filter((uid) => uid !== '');
  return {
    backends: add(
      delta.backends,
      refused.flatMap((r) => r.backends),
      wanted.backends,
    ),
    frontends: add(
      delta.frontends,
      refused.flatMap((r) => r.frontends),
      wanted.frontends,
    ),
    clients: add(delta.clients, workloads, wanted.clients),
    ports: add(
      delta.ports,
      refused.flatMap((r) => r.port ?? []),
      wanted.ports,
    ),
  };
}
