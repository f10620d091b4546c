// SPDX-License-Identifier: Apache-2.0
// What every source tells, whatever it reads from.
import type { Change } from '../mesh/model.ts';
import type { Report } from './findings.ts';

export interface News {
  /** First everything the source says, then what differs. */
  readonly changes: readonly Change[];
  /** Always whole. */
  readonly report: Report;
}

/**
 * Resolves once the changes are in the kernel, or could not be written (which is the node's fault, not the source's). Rejects when they were not taken
 * up: they have to be told again, and if they were the first ones so has everything.
 */
export type Tell = (news: News) => Promise<void>;

/** Something that tells the agent what there should be. */
export interface Source {
  /** How it is called in status and origins: "xds istiod.istio-system.svc:15012", "/etc/kmesh". */
  readonly name: string;
  /** Reads everything again; resolves when what came of it was told. */
  reload(): Promise<void>;
  close(): Promise<void>;
}
