// SPDX-License-Identifier: Apache-2.0
// Names asked for on demand ("network/ip", "namespace/hostname", a uid), and which held resources answer them.

/** What changes in a subscription. Both empty: nothing is to be said. */
export interface Step {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
}

export interface Wanted {
  readonly size: number;
  readonly absent: number;
  isPresent(name: string): boolean;
  /** All names, for the first request of a stream: from there on the server knows them. */
  open(): string[];
  close(): void;
  /** Asks for those that nobody asked for yet. @returns what to tell, and those names that are known already */
  want(names: Iterable<string>, heldName: HeldName): Asked;
  /** Asks for all of them, also those asked for before. */
  again(names: Iterable<string>, heldName: HeldName): Asked;
  unwant(names: Iterable<string>, heldName: HeldName): Step[];
  /** A resource came with these other names. @returns wanted names that it answers no longer, and nothing else does */
  accept(name: string, aliases: readonly string[]): string[];
  /** The server has no such resource or name, or nothing that can be used. @returns wanted names that are without answer now */
  lose(name: string): string[];
}

/** Whether a resource of that very name is held. */
type HeldName = (name: string) => boolean;

interface Asked {
  /** To be told in this order. */
  readonly steps: Step[];
  readonly present: string[];
}

interface Name {
  state: 'asked' | 'present' | 'absent';
  /** The server has it in its list. */
  subscribed: boolean;
}

export function openWanted(): Wanted {
  const names = new Map<string, Name>();
  /** Alias -> resources that have it. */
  const answers = new Map<string, Set<string>>();
  const aliasesOf = new Map<string, readonly string[]>();
  let open = false;
  let absent = 0;

  const set = (name: Name, state: Name['state']) => {
    absent += Number(state === 'absent') - Number(name.state === 'absent');
    name.state = state;
  };
  const markPresent = (text: string) => {
    const name = names.get(text);
    if (name) set(name, 'present');
  };
  /** Takes `alias` from `resource`. @returns true when that leaves a wanted name without answer */
  const detach = (alias: string, resource: string): boolean => {
    const owners = answers.get(alias);
    owners?.delete(resource);
    if (owners && owners.size > 0) return false;
    answers.delete(alias);
    return markAbsent(alias);
  };
  const markAbsent = (text: string): boolean => {
    const name = names.get(text);
    if (name) set(name, 'absent');
    return name !== undefined;
  };

  const ask = (asked: Iterable<string>, heldName: HeldName, force: boolean): Asked => {
    const subscribe: string[] = [];
    const listed: string[] = [];
    const present: string[] = [];
    for (const text of new Set(asked)) {
      const known = heldName(text) || answers.has(text);
      const isNew = !names.has(text);
      const name: Name = names.get(text) ?? { state: 'asked', subscribed: false };
      names.set(text, name);
      if (known) {
        set(name, 'present');
        present.push(text);
      }
      const due = force || (!known && !name.subscribed);
      if (!due || !open) continue;
      if (!known && !isNew) set(name, 'asked');
      // A server answers a request only if it changes the list of names it keeps, so a name on that list leaves it first.
      if (force && (name.subscribed || heldName(text))) listed.push(text);
      subscribe.push(text);
      name.subscribed = true;
    }
    const steps: Step[] = [];
    if (listed.length > 0) steps.push({ subscribe: [], unsubscribe: listed });
    if (subscribe.length > 0) steps.push({ subscribe, unsubscribe: [] });
    return { steps, present };
  };

  return {
    get size() {
      return names.size;
    },
    get absent() {
      return absent;
    },

    isPresent: (text) => answers.has(text) || names.get(text)?.state === 'present',
    open() {
      open = true;
      for (const name of names.values()) name.subscribed = true;
      return [...names.keys()];
    },
    close() {
      open = false;
      for (const name of names.values()) name.subscribed = false;
    },

    want: (asked, heldName) => ask(asked, heldName, false),
    again: (asked, heldName) => ask(asked, heldName, true),

    unwant(given, heldName) {
      const unsubscribe: string[] = [];
      for (const text of new Set(given)) {
        const name = names.get(text);
        if (!name) continue;
        set(name, 'asked');
        names.delete(text);
        // What is held goes on being told.
        if (name.subscribed && !heldName(text)) unsubscribe.push(text);
      }
      return unsubscribe.length === 0 ? [] : [{ subscribe: [], unsubscribe }];
    },

    accept(resource, aliases) {
      const before = aliasesOf.get(resource) ?? [];
      const now = new Set(aliases);
      for (const alias of now) {
        const owners = answers.get(alias);
        if (owners) owners.add(resource);
        else answers.set(alias, new Set([resource]));
        markPresent(alias);
      }
      if (now.size > 0) aliasesOf.set(resource, aliases);
      else aliasesOf.delete(resource);
      markPresent(resource);
      return before.filter((alias) => !now.has(alias) && detach(alias, resource));
    },

    lose(text) {
      const lost = (aliasesOf.get(text) ?? []).filter((alias) => detach(alias, text));
      aliasesOf.delete(text);
      // A name that some resource still has as an alias is not without answer.
      if (!answers.has(text) && markAbsent(text)) lost.push(text);
      return lost;
    },
  };
}
