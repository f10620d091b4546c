// SPDX-License-Identifier: Apache-2.0
// Which workloads have an address. Nearly always it is one, so that is what costs least.
import type { Steps } from '../../mesh/steps.ts';
import type { Table } from '../../mesh/table.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';

/** Address -> uid of the one workload that has it, or of all. */
export type Owners = Table<string | readonly string[]>;

export interface OwnersEditor {
  replace(was: Workload | undefined, is: Workload | undefined): void;
  /** uids of those that have an address. */
  of(address: Address): readonly string[];
  /** Addresses of all workloads that were replaced, before and after. */
  readonly touched: ReadonlySet<Address>;
  close(): Steps<Owners>;
}

const nobody: readonly string[] = [];

/** Addresses that can be a workload's own. */
function addressesOf(workload: Workload | undefined): readonly Address[] {
  return workload && !workload.hostNetwork ? workload.addresses : nobody;
}

export function openOwners(before: Owners): OwnersEditor {
  const next = before.edit();
  const touched = new Set<Address>();
  const of = (address: Address): readonly string[] => {
    const held = next.get(address);
    return held === undefined ? nobody : typeof held === 'string' ? [held] : held;
  };
  const set = (address: Address, uids: readonly string[]): void => {
    const [only] = uids;
    if (only === undefined) next.delete(address);
    else next.set(address, uids.length === 1 ? only : uids);
  };
  return {
    of,
    touched,
    replace(was, is) {
      for (const address of addressesOf(was)) {
        touched.add(address);
        set(
          address,
          of(address).filter((uid) => uid !== was?.uid),
        );
      }
      for (const address of addressesOf(is)) {
        touched.add(address);
        const held = of(address);
        if (is && !held.includes(is.uid)) set(address, [...held, is.uid]);
      }
    },
    close: () => next.close(),
  };
}
