// SPDX-License-Identifier: Apache-2.0
// JSON that is made as it is printed: streams, and lists that are read as they are taken, are never held whole.
import { toPlain } from './plain.ts';

/** JSON escapes half of the control characters by itself. */
const text = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

type Items = Iterable<unknown> | AsyncIterable<unknown>;

export const isStream = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value;

/** A generator: its items are made when they are asked for. */
export const isLazy = (value: unknown): value is Items =>
  isStream(value) || (typeof value === 'object' && value !== null && Symbol.iterator in value && 'next' in value);

/** Fields of an object of which at least one is lazy, in order; undefined for anything else. */
export function lazyFields(value: unknown): readonly (readonly [string, unknown])[] | undefined {
  if (typeof value !== 'object' || value === null || isLazy(value) || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  return entries.some(([, field]) => isLazy(field)) ? entries : undefined;
}

/** `indent`: of what is held whole. */
export async function* jsonPieces(value: unknown, indent: number): AsyncGenerator<string> {
  const fields = lazyFields(value);
  if (isLazy(value)) {
    let lead = '[\n';
    for await (const item of value) {
      yield lead;
      yield* jsonPieces(item, 0);
      lead = ',\n';
    }
    yield lead === '[\n' ? '[]' : '\n]';
  } else if (fields === undefined) {
    yield text(toPlain(value) ?? null, indent);
  } else {
    let lead = '{';
    for (const [key, field] of fields) {
      if (field === undefined) continue;
      yield `${lead}${text(key)}: `;
      yield* jsonPieces(field, 0);
      lead = ', ';
    }
    yield '}';
  }
}
