// SPDX-License-Identifier: Apache-2.0
// All the spellings that some server may take for the same path or host, as regular expressions: for whom a policy keeps out. What Envoy
// resolves before it asks (dot segments, backslashes, escaped letters and digits) is not among them.
import { quoted } from './regex.ts';

const slash = '(?:/|%2[fF]|%5[cC])';
/** Doubled, or with a segment between that stays where it is. */
const slashes = `${slash}(?:\\.?${slash})*`;
/** A way upwards that is left once Envoy has resolved the others goes past an escaped slash, or has a parameter: it may lead anywhere. */
const upwards = `.*${slash}\\.\\.(?:(?:${slash}|;).*)?`;

/** To who reads a path as a reference, two slashes begin a host. */
const host = '(?://[^/]*)?';

/** A path that some server may take for one of `regex`. */
export const anyhowRead = (regex: string): string => `${host}(?:${regex})|${upwards}`;

/** A part of a path. */
export function pathSpellings(text: string): string {
  return unescaped(text)
    .split(/[/\\]+/)
    .map((part) => [...part].map(inAnyForm).join(''))
    .join(slashes);
}

/**
 * A host, or its end when `isSuffix`, or its begin when `isPrefix`: with and without a user, a port (when it has none), the dot of the root; alone, or as one of
 * several, since Envoy makes one list of all Host lines; with any character escaped.
 */
export function hostSpellings(host: string, { isSuffix = false, isPrefix = false } = {}): string {
  const [, name = '', port = ''] = /^(.*?)(:\d*)?$/s.exec(host) ?? [];
  const isCut = isPrefix && port === '';
  const text = [...(isCut ? name : name.replace(/\.$/, ''))].map(inAnyCase).join('');
  const end = isCut ? '.*' : `(?:\\.|%2e)?${port === '' ? '(?:[:,].*)?' : `${port}${isPrefix ? '.*' : '(?:,.*)?'}`}`;
  return `(?i)(?:.*[@,])?${isSuffix ? '.*' : ''}${text}${end}`;
}

/** A host that is let in by its begin or its end: what is beside that is of the same host, not another one with a user, a port, or in a list. */
export function hostBeside(value: string, isPrefix: boolean): string {
  const text = quoted(value);
  return isPrefix ? `(?i)${text}[^,@]*` : `(?i)(?:\\[[^\\],@]*\\]|[^,:@]*)${text}`;
}

function unescaped(text: string): string {
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run; // no UTF-8
    }
  });
}

/** The same, of a host: whichever case the escaped letter is of. */
function inAnyCase(character: string): string {
  const escaped = [...new Set([character.toLowerCase(), character.toUpperCase()])].map((one) =>
    Array.from(new TextEncoder().encode(one), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  );
  return `(?:${[quoted(character), ...escaped].join('|')})`;
}

/** As it is, and escaped. */
function inAnyForm(character: string): string {
  if (/[A-Za-z0-9]/.test(character)) return character;
  const bytes = Array.from(new TextEncoder().encode(character), (byte) => byte.toString(16).padStart(2, '0'));
  const digit = (one: string) => (one > '9' ? `[${one}${one.toUpperCase()}]` : one);
  return `(?:${quoted(character)}|${bytes.map((byte) => `%${[...byte].map(digit).join('')}`).join('')})`;
}
