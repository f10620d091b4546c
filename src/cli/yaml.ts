// SPDX-License-Identifier: Apache-2.0
// YAML that is made as it is printed. The only place here that knows the yaml library.
import { stringify } from 'yaml';
import { isLazy, lazyFields } from './json.ts';
import { toPlain } from './plain.ts';

/** Control characters that the library writes as they are; where any is, all texts are in quotes. */
const raw = /[\u007f-\u009f]/g;

function whole(value: unknown): string {
  const plain = toPlain(value) ?? null;
  const text = stringify(plain, { lineWidth: 0 });
  if (text.search(raw) < 0) return text;
  const quoted = stringify(plain, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE' });
  return quoted.replace(raw, (one) => `\\x${one.charCodeAt(0).toString(16)}`);
}

const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');

/** Pieces end with a newline. */
export async function* yamlPieces(value: unknown): AsyncGenerator<string> {
  const fields = lazyFields(value);
  if (isLazy(value)) {
    let empty = true;
    for await (const item of value) {
      empty = false;
      let first = true;
      for await (const piece of yamlPieces(item)) {
        yield first ? `- ${indented(piece).slice(2)}` : indented(piece);
        first = false;
      }
    }
    if (empty) yield '[]\n';
  } else if (fields === undefined) {
    yield whole(value);
  } else {
    for (const [key, field] of fields) {
      if (!isLazy(field)) {
        if (field !== undefined) yield whole({ [key]: field });
        continue;
      }
      let empty = true;
      for await (const piece of yamlPieces(field)) {
        if (empty) yield piece === '[]\n' ? `${key}: []\n` : `${key}:\n`;
        empty = false;
        if (piece !== '[]\n') yield indented(piece);
      }
    }
  }
}
