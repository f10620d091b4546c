// SPDX-License-Identifier: Apache-2.0
// What a plan keeps of its operations: bundles that are unfolded when they are carried out, for a mesh has hundreds of thousands.
import { type NameKind, nameKind } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Header } from './image.ts';
import { nameParts } from './names.ts';
import type { Operation } from './operation.ts';
import { maglevSlots, type RangeLayout } from './range-layout.ts';

/** The entries of a new name. */
interface NameStep {
  readonly kind: 'name';
  readonly of: NameKind;
  readonly id: number;
  readonly name: string;
  /** Entries that it takes. */
  readonly parts: number;
}

/** The slots of a new range, the header's last. */
interface RangeStep {
  readonly kind: 'range';
  readonly first: number;
  readonly layout: RangeLayout;
  readonly header: Header;
  readonly about: string;
}

/** The slots of a Maglev table or cycle. */
interface TableStep {
  readonly kind: 'table';
  readonly first: number;
  readonly indexes: ArrayLike<number>;
  readonly about: string;
}

export type Step = Operation | NameStep | RangeStep | TableStep;

/** Operations in order, made as they are asked for; an array is one too. */
export interface Operations extends Iterable<Operation> {
  readonly length: number;
}

function lengthOf(step: Step): number {
  switch (step.kind) {
    case 'name':
      return step.parts;
    case 'range':
      return step.layout.workloadIds.length + 1;
    case 'table':
      return maglevSlots(step.indexes.length);
    default:
      return 1;
  }
}

function* unfold(step: NameStep | RangeStep | TableStep): Generator<Operation> {
  if (step.kind === 'name') {
    const about = `${step.of} "${step.name}"`;
    const parts = nameParts(step.name);
    // Part 0 last: a name without it counts as not written.
    for (let part = parts.length - 1; part >= 0; part--) {
      const value = parts[part] as (typeof parts)[number];
      yield { kind: 'put', map: 'name', key: { id: step.id, kind: nameKind[step.of], part }, value, about };
    }
  } else if (step.kind === 'range') {
    const { first, layout, header, about } = step;
    for (let i = 0; i < layout.workloadIds.length; i++) {
      yield { kind: 'put', map: 'endpoint', key: first + 1 + i, value: layout.slot(i), about };
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
    *[Symbol.iterator]() {
      for (const steps of stages) {
        for (const step of steps) {
          if (step.kind === 'name' || step.kind === 'range' || step.kind === 'table') yield* unfold(step);
          else yield step;
        }
      }
    },
  };
}
