// SPDX-License-Identifier: Apache-2.0
// Responses are read in slices and taken in the order in which they came; but a short one does not wait for a long one before it to be read.
import { inSlices } from '../slices.ts';
import { readResponse } from './decode/response.ts';
import type { Answer } from './session.ts';
import { type Check, type Names, namesOf } from './subscription.ts';
import { type Checked, type Response, type TypeName, typeUrls } from './types.ts';

/** A message as it came. */
export interface Arrived {
  readonly bytes: Uint8Array;
  /** In milliseconds since the epoch. */
  readonly at: number;
  /** For its answer, among those of the others. */
  readonly place: Answer;
  /** To be called once it is taken in: it is not on its way any more. */
  readonly over: () => void;
}

/** The same read, each resource checked. */
export interface Read extends Arrived {
  readonly response: Response;
  readonly checked: readonly Checked[];
  /** Names that later responses have told of: what this one says of them counts no more. */
  readonly later: ReadonlySet<string>;
  /** Where they are known before it is taken in. */
  readonly names: Names | undefined;
}

export interface ReadingOptions {
  readonly check: Check;
  /** Order may be left where names differ. */
  readonly mayOvertake: () => boolean;
  /** Resolves once it is taken in. While a long one is, in steps, a short one of other names may be. */
  readonly take: (read: Read) => Promise<void>;
  /** Does something once nothing else changes the session. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}

export interface Reading {
  /** Resolves once it is taken in; rejects with the reason why it cannot be read. */
  add(arrived: Arrived): Promise<void>;
  /** After all that were added so far. */
  afterwards<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves once nothing is being read. */
  idle(): Promise<void>;
}

/** A message of so many bytes is long: to read it takes several milliseconds. */
const longBytes = 64 * 1024;
/** Milliseconds of a long one at a time while others may overtake. */
export const shortSliceMs = 0.5;
/** Resources, or bytes of them, between two pauses. */
const stepSize = 32;
const stepBytes = 32 * 1024;

export function typeOf({ typeUrl }: Response): TypeName | undefined {
  if (typeUrl === typeUrls.address) return 'address';
  return typeUrl === typeUrls.authorization ? 'authorization' : undefined;
}

export function openReading({ check, mayOvertake, take, inTurn }: ReadingOptions): Reading {
  /** The last that goes in order; the last that overtakes. */
  let ordered: Promise<unknown> = Promise.resolve();
  let overtaking: Promise<unknown> = Promise.resolve();
  /** Names told later than each that goes in order and is not taken in yet. */
  const ahead = new Set<Ahead>();

  function* checking({ resources }: Response, type: TypeName | undefined): Generator<undefined, Checked[]> {
    const checked: Checked[] = [];
    if (type === undefined) return checked;
    let bytes = 0;
    for (const raw of resources) {
      checked.push(check(type, raw));
      bytes += raw.end - raw.start;
      if (checked.length % stepSize !== 0 && bytes < stepBytes) continue;
      bytes = 0;
      yield;
    }
    return checked;
  }
  const read = async (bytes: Uint8Array): Promise<Pick<Read, 'response' | 'checked' | 'names'>> => {
    const inSteps = bytes.length > longBytes && mayOvertake();
    const slice = inSteps ? shortSliceMs : undefined;
    const response = await inSlices(readResponse(bytes), slice);
    const checked = await inSlices(checking(response, typeOf(response)), slice);
    return { response, checked, names: inSteps ? await inSlices(namesOf(response), slice) : undefined };
  };

  const inOrder = async (arrived: Arrived, mine: Ahead): Promise<void> => {
    try {
      await Promise.all([ordered, overtaking]);
      const done = await read(arrived.bytes);
      await inTurn(() => {
        mine.taken = done;
        return take({ ...arrived, ...done, later: mine.later.get(done.response.typeUrl) ?? none });
      });
    } finally {
      ahead.delete(mine);
    }
  };

  const overtake = async (arrived: Arrived, overtaken: readonly Ahead[]): Promise<void> => {
    const inOrderBefore = ordered;
    await overtaking;
    const done = { ...(await read(arrived.bytes)), later: none };
    const { response, checked } = done;
    // What is refused leaves in effect what was told before it, so that comes first.
    if (!checked.every(({ ok }) => ok)) await inOrderBefore;
    const under = overtaken.find((one) => ahead.has(one) && one.taken);
    if (under?.taken && isApart(response, under.taken)) return take({ ...arrived, ...done });
    await inTurn(() => {
      for (const { later, taken } of overtaken) if (!taken) note(later, response);
      return take({ ...arrived, ...done });
    });
  };

  return {
    add(arrived) {
      const isLong = arrived.bytes.length > longBytes;
      const before = [...ahead];
      if (!isLong && before.some((one) => one.isLong) && mayOvertake()) {
        const done = overtake(arrived, before);
        overtaking = done.catch(() => {});
        return done;
      }
      const mine: Ahead = { isLong, later: new Map() };
      ahead.add(mine);
      const done = inOrder(arrived, mine);
      ordered = done.catch(() => {});
      return done;
    },
    afterwards: (work) => Promise.all([ordered, overtaking]).then(() => inTurn(work)),
    async idle() {
      await Promise.all([ordered, overtaking]);
    },
  };
}

interface Ahead {
  readonly isLong: boolean;
  /** By type URL. */
  readonly later: Map<string, Set<string>>;
  /** Set once it is being taken in. */
  taken?: Pick<Read, 'response' | 'names'>;
}

const none: ReadonlySet<string> = new Set();

function note(later: Ahead['later'], { typeUrl, resources, removed }: Response): void {
  const names = later.get(typeUrl) ?? new Set();
  later.set(typeUrl, names);
  for (const { name } of resources) names.add(name);
  for (const name of removed) names.add(name);
}

/** True when the two say nothing about the same name. */
function isApart({ typeUrl, resources, removed }: Response, other: NonNullable<Ahead['taken']>): boolean {
  if (typeUrl !== other.response.typeUrl) return true;
  const { names } = other;
  const known = (name: string) => names === undefined || names.last.has(name) || names.removed.has(name);
  return !resources.some(({ name }) => known(name)) && !removed.some(known);
}
