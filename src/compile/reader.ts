// SPDX-License-Identifier: Apache-2.0
// Reading a model as compiling needs it.
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
