// SPDX-License-Identifier: Apache-2.0
// Regular expressions of Envoy (RE2): which texts are none, and texts that stand for themselves.

const lookaround = /\(\?(?:[=!]|<[=!])/;
/** What may stand behind a backslash: RE2 takes letters and digits that mean something to it, and no others. */
const escaped = /\\([\s\S])/g;
const escapes = /[aftnrvdDsSwWbBAzCQEpPx0\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]/;
const counted = /\{(\d+)(?:,(\d*))?\}/g;
const mostRepeats = 1000;
/** A class that begins with its end holds it. */
const openClass = /\[\^?\](?![^\]]*\])/;

/** True for what RE2 takes, as far as can be told here: Envoy refuses the whole resource otherwise. */
export function isRegex(text: string): boolean {
  if (text === '' || text.length > 1024 || lookaround.test(text) || openClass.test(text)) return false;
  for (const [, behind = ''] of text.matchAll(escaped)) if (!escapes.test(behind)) return false;
  for (const [, ...counts] of text.matchAll(counted))
    if (counts.some((n) => Number(n ?? 0) > mostRepeats)) return false;
  try {
    new RegExp(
      text
        .replaceAll('(?P<', '(?<')
        .replaceAll(/\(\?[imsU-]+:/g, '(?:')
        .replaceAll(/\(\?[imsU-]+\)/g, ''),
    );
    return true;
  } catch {
    return false;
  }
}

export function quoted(text: string): string {
  return text
    .replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
    .replaceAll('\\/', '/')
    .replaceAll('\\-', '-');
}
