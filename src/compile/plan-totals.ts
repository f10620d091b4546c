// SPDX-License-Identifier: Apache-2.0
// What the entries of a draft come to all together, and the grace periods that follow from it: in steps, for there may be tens of thousands.
import type { Steps } from '../mesh/steps.ts';
import { isAnyPort } from './image.ts';
import type { PlanDraft } from './plan-draft.ts';

export interface Totals {
  /** An exact address is there from now on. */
  readonly exactNew: boolean;
  /** A range, or an entry for all ports of an address, goes. */
  readonly rangeOut: boolean;
  readonly anyPortOut: boolean;
  /** A frontend that stays loses a variant. */
  readonly variantLeft: boolean;
  /** How many more there are: ranges, entries for all ports, UDP frontends. */
  readonly ranges: number;
  readonly anyPorts: number;
  readonly udp: number;
  /** Something becomes free. */
  readonly frees: boolean;
}

/** Entries between two pauses. */
const entriesAStep = 64;

export function* totalsOf({ frontends, backends, clients }: PlanDraft): Steps<Totals> {
  let exactNew = false;
  let rangeOut = false;
  let anyPortOut = false;
  let variantLeft = false;
  let ranges = 0;
  let anyPorts = 0;
  let udp = 0;
  let frees = false;
  let seen = 0;
  for (const { have, next } of frontends) {
    if (++seen % entriesAStep === 0) yield;
    const [was, is] = [have?.backend !== undefined, next?.backend !== undefined];
    if ((next ?? have)?.length !== undefined) ranges += Number(is) - Number(was);
    anyPorts += Number(next !== undefined && isAnyPort(next)) - Number(have !== undefined && isAnyPort(have));
    udp += Number(next?.protocol === 'udp') - Number(have?.protocol === 'udp');
    exactNew ||= next !== undefined && next.length === undefined && !was;
    rangeOut ||= have?.length !== undefined && !is;
    anyPortOut ||= have !== undefined && isAnyPort(have) && !is;
    if (have === undefined || have.variants.size === 0) continue;
    frees = true;
    if (next) for (const namespace of have.variants.keys()) variantLeft ||= !next.variants.has(namespace);
  }
  for (const list of [backends, clients]) {
    for (const { have } of list) {
      if (++seen % entriesAStep === 0) yield;
      frees ||= have !== undefined;
    }
  }
  return { exactNew, rangeOut, anyPortOut, variantLeft, ranges, anyPorts, udp, frees };
}

/** Grace periods for programs that were between two look-ups when something took the place of what they were about to find. */
export function planWaits({ ops }: PlanDraft, { exactNew, rangeOut, anyPortOut, variantLeft }: Totals): void {
  const wait = { kind: 'grace' } as const;
  // Who missed the exact address before it was there is about to ask for the range around it; who missed the port of an address, for all ports.
  if (exactNew && (rangeOut || anyPortOut)) ops.beforeFrontendOut.push(wait);
  // Who was sent to the variants, or missed its own before it was there, is about to ask for one of those of before.
  if (ops.variantOut.length > 0 && variantLeft) ops.beforeVariantOut.push(wait);
}
