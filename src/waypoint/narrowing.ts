// SPDX-License-Identifier: Apache-2.0
// A resource that a client refuses, told in parts until it is known which of them it refuses: these stay as they were, and the rest holds. Whatever
// it is told meanwhile keeps every policy of before, or has that of now.
import { type Divisible, divide } from '../compile/l7/parts.ts';
import { equal } from '../mesh/equal.ts';
import type { Resource } from './messages.ts';
import { encoded, policyVersion } from './snapshot.ts';
import type { TypeName } from './types.ts';

/** A part that is refused. */
export interface RefusedPart {
  /** "AuthorizationPolicy shop/a", "HTTPRoute shop/a", "HTTPRoute shop/a 2" (a rule of it), "chain ..." */
  readonly part: string;
  /** In the words of the client. */
  readonly reason: string;
}

interface Bad extends RefusedPart {
  readonly value: unknown;
}

export interface Narrowing {
  /** Version of what is refused. */
  readonly of: string;
  /** What the client is to have in its place; undefined: that cannot be told from parts. */
  readonly stands: Resource | undefined;
  /** Nothing more is to be found out. */
  readonly isOver: boolean;
  readonly refused: readonly RefusedPart[];
  took(version: string): void;
  refuses(version: string, reason: string): void;
  /** The same of what holds now; undefined: nothing that is known to be refused is in it. */
  again(now: Resource, before: Resource | undefined): Narrowing | undefined;
}

/** Questions after which the parts that are left count as refused. */
const mostAsked = 200;

const isDivisible = (type: TypeName): boolean => type === 'routes' || type === 'listeners';

/**
 * What is left to tell of `now`, which is refused for `reason`. `before`: what the client has, or took in the end; undefined: nothing, or nobody
 * knows. `heldVersion`: of what it has that nobody knows. Undefined: it is refused as a whole.
 */
export function openNarrowing(
  type: TypeName,
  now: Resource,
  reason: string,
  { before, heldVersion }: { readonly before: Resource | undefined; readonly heldVersion: string | undefined },
): Narrowing | undefined {
  if (!isDivisible(type) || !now.value || (before && !before.value)) return undefined;
  const end = policyVersion(type, now.value);
  // What it has from a control plane that was here before has the policies of now: better than to take routes away.
  if (!before && heldVersion !== undefined && heldVersion.replace(/^[^.]*/, '') === end) return undefined;
  return new Search(type, now, before, [], reason);
}

class Search implements Narrowing {
  readonly of: string;
  readonly #reason: string | undefined;
  readonly #type: TypeName;
  readonly #now: Resource;
  readonly #before: Resource | undefined;
  readonly #division: ReturnType<typeof divide>;
  readonly #candidates: ReadonlySet<string>;
  readonly #good = new Set<string>();
  readonly #bad = new Map<string, Bad>();
  /** Groups that are to be tried, one after the other; the first one is. Empty: whether nothing new is taken at all. */
  #queue: (readonly string[])[];
  /** Known to be refused when it began: at first all others are tried. */
  #isShort: boolean;
  #asked = 0;
  #trial: Resource | undefined;
  #taken: Resource | undefined;

  /** `reason`: why all of it is refused; absent: that was not tried. */
  constructor(type: TypeName, now: Resource, before: Resource | undefined, known: readonly Bad[], reason?: string) {
    this.of = now.version;
    this.#reason = reason;
    this.#type = type;
    this.#now = now;
    this.#before = before;
    this.#division = divide(now.value as Divisible, before?.value as Divisible | undefined);
    this.#candidates = new Set(this.#division.steps.flat());
    for (const one of known) this.#bad.set(one.part, one);
    this.#isShort = known.length > 0;
    this.#queue = this.#isShort ? [[...this.#candidates].filter((key) => !this.#bad.has(key))] : this.#whole();
    this.#next();
  }

  #whole(): (readonly string[])[] {
    return [[], ...this.#division.steps.filter((step) => step.length > 0)];
  }

  get stands(): Resource | undefined {
    return this.#trial ?? this.#taken;
  }

  get isOver(): boolean {
    return this.#trial === undefined;
  }

  get refused(): readonly RefusedPart[] {
    return this.isOver ? Array.from(this.#bad.values(), ({ part, reason }) => ({ part, reason })) : [];
  }

  took(version: string): void {
    if (this.#trial?.version !== version) return;
    this.#taken = this.#trial;
    for (const key of this.#queue.shift() ?? []) this.#good.add(key);
    this.#next();
  }

  refuses(version: string, reason: string): void {
    if (this.#trial?.version !== version) return;
    const group = this.#queue.shift() ?? [];
    if (this.#isShort) {
      this.#bad.clear();
      this.#queue = this.#whole();
    } else if (group.length === 0) this.#queue = [];
    else if (group.length === 1) this.#leave(group, reason);
    else if (++this.#asked > mostAsked) for (const rest of [group, ...this.#queue.splice(0)]) this.#leave(rest, reason);
    else {
      const half = Math.ceil(group.length / 2);
      this.#queue.unshift(group.slice(0, half), group.slice(half));
    }
    this.#isShort = false;
    this.#next();
  }

  again(now: Resource, before: Resource | undefined): Narrowing | undefined {
    if (!now.value || !before?.value) return undefined;
    const { said } = divide(now.value as Divisible, before.value as Divisible);
    const still = [...this.#bad.values()].filter(({ part, value }) => equal(said(part), value));
    return still.length > 0 ? new Search(this.#type, now, before, still) : undefined;
  }

  #leave(keys: readonly string[], reason: string): void {
    for (const part of keys) this.#bad.set(part, { part, reason, value: this.#division.said(part) });
  }

  /** Makes what is to be tried next. What the client has already need not be, nor what it refused to begin with. */
  #next(): void {
    this.#trial = undefined;
    const [group] = this.#queue;
    if (!group) return;
    const ours = new Set(group);
    const isNow = (key: string) => !this.#candidates.has(key) || this.#good.has(key) || ours.has(key);
    const value = this.#division.compose(isNow);
    const trial = encoded(this.#type, this.#now.name, value, policyVersion(this.#type, this.#now.value as object));
    this.#trial = trial;
    const has = this.#taken ?? this.#before;
    if (has && Buffer.compare(has.bytes, trial.bytes) === 0) this.took(trial.version);
    else if (trial.version === this.of && this.#reason !== undefined) this.refuses(trial.version, this.#reason);
  }
}
