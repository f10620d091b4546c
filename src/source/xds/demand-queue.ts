// SPDX-License-Identifier: Apache-2.0
// Wishes for names, in their order; those of one kind that come close together become one.

export type Wish = 'want' | 'again' | 'unwant';

export interface DemandQueue {
  add(wish: Wish, names: Iterable<string>): void;
  /** Grants now what is waiting. */
  flush(): void;
  close(): void;
}

export function openDemandQueue(grant: (wish: Wish, names: readonly string[]) => void): DemandQueue {
  let waiting: { readonly wish: Wish; readonly names: string[] }[] = [];
  let turn: NodeJS.Immediate | undefined;
  const flush = () => {
    if (turn) clearImmediate(turn);
    turn = undefined;
    const granted = waiting;
    waiting = [];
    for (const { wish, names } of granted) grant(wish, names);
  };
  return {
    add(wish, names) {
      const given = [...names];
      if (given.length === 0) return;
      const last = waiting.at(-1);
      if (last?.wish === wish) for (const name of given) last.names.push(name);
      else waiting.push({ wish, names: given });
      turn ??= setImmediate(flush);
    },
    flush,
    close() {
      waiting = [];
      flush();
    },
  };
}
