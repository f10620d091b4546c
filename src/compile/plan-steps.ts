// SPDX-License-Identifier: Apache-2.0
// What a plan keeps of its operations: bundles that are unfolded when they are carried out, for a mesh has hundreds of thousands.
import { listedInSlot, type NameKind, nameKind, slotsOfListed } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Header, ViaSlot } from './image.ts';
import { nameParts } from './names.ts';
import type { Operation, PutOperation } from './operation.ts';
import { maglevSlots, type RangeLayout } from './range-layout.ts';

/** The entries of all new names. */
interface NamesStep {
  readonly kind: 'names';
  readonly named: readonly (readonly [NameKind, Iterable<readonly [name: string, id: number]>])[];
  /** Entries that they take. */
  readonly entries: number;
}

/** The slots of a new range: endpoints, what it goes through and where not, the header. */
interface RangeStep {
  readonly kind: 'range';
  readonly first: number;
  readonly layout: RangeLayout;
  readonly header: Header;
  readonly via: ViaSlot | undefined;
  readonly listed: readonly number[];
  readonly about: string;
}

/** The slots of a Maglev table or cycle. */
interface TableStep {
  readonly kind: 'table';
  readonly first: number;
  readonly indexes: ArrayLike<number>;
  readonly about: string;
}

export type Step = Operation | NamesStep | RangeStep | TableStep;

/** Operations in order, made as they are asked for; an array is one too. */
export interface Operations<O = Operation> extends Iterable<O> {
  readonly length: number;
}

function lengthOf(step: Step): number {
  switch (step.kind) {
    case 'names':
      return step.entries;
    case 'range':
      return step.layout.workloadIds.length + 1 + (step.via ? 1 : 0) + slotsOfListed(step.listed.length);
    case 'table':
      return maglevSlots(step.indexes.length);
    default:
      return 1;
  }
}

/** The entries of names. */
export function* unfoldNames({ named }: Pick<NamesStep, 'named'>): Generator<PutOperation> {
  for (const [of, names] of named) {
    for (const [name, id] of names) {
      const about = `${of} "${name}"`;
      const parts = nameParts(name);
      // Part 0 last: a name without it counts as not written.
      for (let part = parts.length - 1; part >= 0; part--) {
        const value = parts[part] as (typeof parts)[number];
        yield { kind: 'put', map: 'name', key: { id, kind: nameKind[of], part }, value, about };
      }
    }
  }
}

function* unfold(step: RangeStep | TableStep): Generator<Operation> {
  if (step.kind === 'range') {
    const { first, layout, header, via, listed, about } = step;
    for (let i = 0; i < layout.workloadIds.length; i++) {
      yield { kind: 'put', map: 'endpoint', key: first + 1 + i, value: layout.slot(i), about };
    }
    const after = first + 1 + layout.workloadIds.length;
    if (via) yield { kind: 'put', map: 'endpoint', key: after, value: via, about };
    for (let i = 0; i < slotsOfListed(listed.length); i++) {
      const ports = listed.slice(i * listedInSlot, (i + 1) * listedInSlot);
      yield { kind: 'put', map: 'endpoint', key: after + 1 + i, value: { ports }, about };
    }
    yield { kind: 'put', map: 'endpoint', key: first, value: header, about };
  } else {
    const { first, indexes, about } = step;
    for (let i = 0; 2 * i < indexes.length; i++) {
      const index = [indexes[2 * i] as number, indexes[2 * i + 1] ?? 0];
      yield { kind: 'put', map: 'maglev', key: first + i, value: { index }, about };
    }
  }
}

const stepsAPause = 256;

/** The operations of `stages`, one stage after the other. The lists must not change any more. */
export function* operationsOf(stages: readonly (readonly Step[])[]): Steps<Operations> {
  let length = 0;
  let seen = 0;
  for (const steps of stages) {
    for (const step of steps) {
      length += lengthOf(step);
      if (++seen % stepsAPause === 0) yield;
    }
  }
  return {
    length,
    [Symbol.iterator]: () => unfoldAll(stages),
  };
}

function* unfoldAll(stages: readonly (readonly Step[])[]): Generator<Operation> {
  for (const steps of stages) {
    for (const step of steps) {
      if (step.kind === 'names') yield* unfoldNames(step);
      else if (step.kind === 'range' || step.kind === 'table') yield* unfold(step);
      else yield step;
    }
  }
}
