// SPDX-License-Identifier: Apache-2.0
// What was made stays what it is as long as what it was made of is the same.

export interface Timeless {
  /** Begins a pass: what is not asked for until its end is forgotten. */
  begin(): void;
  /** The value made under `key` when the facts are those it was made of, else a new one. */
  get<T>(key: string, facts: readonly unknown[], make: () => T): T;
  end(): void;
}

interface Made {
  readonly facts: readonly unknown[];
  readonly value: unknown;
}

export function openTimeless(): Timeless {
  let before = new Map<string, Made>();
  let now = new Map<string, Made>();
  return {
    begin() {
      now = new Map();
    },
    get<T>(key: string, facts: readonly unknown[], make: () => T): T {
      const known = before.get(key);
      const same = known?.facts.length === facts.length && known.facts.every((fact, i) => fact === facts[i]);
      const made = known && same ? known : { facts: [...facts], value: make() };
      now.set(key, made);
      return made.value as T;
    },
    end() {
      before = now;
    },
  };
}
