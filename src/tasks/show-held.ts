// SPDX-License-Identifier: Apache-2.0
// The mesh as the kernel holds it (services, workloads), one item at a time.
import { isStandIn } from '../compile/waypoint.ts';
import type { Env, Place } from '../env.ts';
import { openPinned } from '../kernel/pinned.ts';
import { type RowFilter, type ServiceRow, serviceRows, type WorkloadRow, workloadRows } from './held/rows.ts';

export type { ServiceBackend, ServiceFrontend, ServiceRow, WorkloadRow } from './held/rows.ts';

/** What the kernel balances; KM_NOT_LOADED when nothing is loaded. */
export async function* showServices(
  _env: Env,
  { place, ...filter }: RowFilter & { readonly place: Place },
): AsyncGenerator<ServiceRow, void, undefined> {
  const plane = openPinned(place.bpffs);
  try {
    yield* serviceRows(plane, filter);
  } finally {
    plane.close();
  }
}

/** The workloads that the kernel knows; KM_NOT_LOADED when nothing is loaded. */
export async function* showWorkloads(
  _env: Env,
  { place, ...filter }: RowFilter & { readonly place: Place },
): AsyncGenerator<WorkloadRow, void, undefined> {
  const plane = openPinned(place.bpffs);
  try {
    yield* workloadRows(plane, filter);
  } finally {
    plane.close();
  }
}

/** Lines for /etc/hosts, "ADDRESS<tab>NAME": every address of each service, without ranges and wildcard names; each pair once. */
export function showHosts(rows: Iterable<ServiceRow>): string {
  const lines = new Set<string>();
  for (const { service, backends } of rows) {
    const host = service.slice(service.indexOf('/') + 1);
    if (host.includes('*') || isStandIn(service)) continue;
    for (const { frontends } of backends) {
      for (const { address } of frontends) if (!address.includes('/')) lines.add(`${address}\t${host}`);
    }
  }
  return [...lines].map((line) => `${line}\n`).join('');
}
