// SPDX-License-Identifier: Apache-2.0
// Reading a model: entry by entry for a change, or gathered in one walk where everything is compiled.
import type { Model } from '../mesh/model.ts';
import type { Service } from '../mesh/service.ts';
import type { Workload } from '../mesh/workload.ts';

export interface ModelReader {
  service(key: string): Service | undefined;
  /** Keys of the services that claim an address text. */
  owners(text: string): Iterable<string>;
  /** Workloads that name a service, sorted by uid. */
  members(key: string): readonly Workload[];
}

const byUid = (a: Workload, b: Workload): number => (a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0);

/** Looks up what is asked for. */
export function readerOf(model: Model): ModelReader {
  return {
    service: (key) => model.services.get(key),
    owners: (text) => model.owners.get(text) ?? [],
    members(key) {
      const found: Workload[] = [];
      model.members.get(key)?.forEach((uid) => {
        const workload = model.workloads.get(uid);
        if (workload) found.push(workload);
      });
      return found.sort(byUid);
    },
  };
}

/**
 * The same from plain tables made in one walk over the model: a look-up in a persistent map hashes its key anew, which for a whole model
 * costs more than the walk.
 * @returns also the uids of the workloads of `node`.
 */
export function wholeReaderOf(
  model: Model,
  node: string,
): { readonly reader: ModelReader; readonly local: readonly string[] } {
  const members = new Map<string, Workload[]>();
  const local: string[] = [];
  model.workloads.forEach((workload) => {
    if (workload.node === node) local.push(workload.uid);
    workload.services.forEach((_, key) => {
      const list = members.get(key);
      if (list) list.push(workload);
      else members.set(key, [workload]);
    });
  });
  const services = new Map(model.services);
  const owners = new Map(model.owners);
  return {
    local,
    reader: {
      service: (key) => services.get(key),
      owners: (text) => owners.get(text) ?? [],
      members: (key) => members.get(key)?.sort(byUid) ?? [],
    },
  };
}
