// SPDX-License-Identifier: Apache-2.0
// Values of a header as regular expressions: one of several in a line, and a line that holds none of those that are let in.
import type { StringMatch } from '../../mesh/policy.ts';
import { quoted } from './regex.ts';

export type Text = Exclude<StringMatch, { readonly kind: 'presence' }>;

/** Bytes: a dot would be a character of UTF-8, and not match what is none. */
const anything = '\\C*';
const something = '\\C+';

/** A line that has a value that fits, alone or in a list. */
export function inList({ kind, value }: Text): string {
  const text = `${kind === 'suffix' ? anything : ''}${quoted(value)}${kind === 'prefix' ? anything : ''}`;
  return `(?:${anything},)?[ \\t]*${text}[ \\t]*(?:,${anything})?`;
}

/** Lines that fit none: such that all of these match them. Regular expressions here have no way to say "not". */
export function fitsNone(texts: readonly Text[]): string[] {
  const fromEnd = texts.filter(({ kind }) => kind === 'suffix');
  const fromStart = texts.filter(({ kind }) => kind !== 'suffix');
  const isExact = texts.every(({ kind, value }) => kind === 'exact' && !value.includes(','));
  // A list is told by its comma, whatever the bytes of its values are.
  const list = isExact ? `|${anything},${anything}` : '';
  return [
    ...(fromStart.length > 0 ? [`${otherThan(trieOf(fromStart, false), false)}${list}`] : []),
    ...(fromEnd.length > 0 ? [otherThan(trieOf(fromEnd, true), true)] : []),
  ];
}

interface Trie {
  readonly next: Map<string, Trie>;
  /** A value ends here. */
  isValue: boolean;
  /** Whatever follows fits. */
  isOpen: boolean;
}

/** So deep regular expressions may be nested. What differs only after that counts as the same. */
const deepest = 200;

function trieOf(texts: readonly Text[], isReversed: boolean): Trie {
  const root: Trie = { next: new Map(), isValue: false, isOpen: false };
  for (const { kind, value } of texts) {
    let at = root;
    const characters = isReversed ? [...value].reverse() : [...value];
    for (const character of characters.slice(0, deepest)) {
      const next = at.next.get(character) ?? { next: new Map(), isValue: false, isOpen: false };
      at.next.set(character, next);
      at = next;
    }
    if (kind === 'exact' && characters.length <= deepest) at.isValue = true;
    else at.isOpen = true;
  }
  return root;
}

function otherThan({ next, isValue }: Trie, isReversed: boolean): string {
  const inTurn = (first: string, rest: string) => (isReversed ? rest + first : first + rest);
  const characters = [...next.keys()].map((character) => character.replace(/[\]\\^-]/, '\\$&'));
  const ways = [
    characters.length > 0 ? inTurn(`[^${characters.join('')}]`, anything) : something,
    ...[...next]
      .filter(([, { isOpen }]) => !isOpen)
      .map(([one, below]) => inTurn(quoted(one), otherThan(below, isReversed))),
  ];
  return `(?:${ways.join('|')})${isValue ? '' : '?'}`;
}
