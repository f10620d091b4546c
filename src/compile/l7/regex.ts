// SPDX-License-Identifier: Apache-2.0
// Regular expressions of Envoy (RE2): which texts are none, and texts that stand for themselves.

const lookaround = /\(\?(?:[=!]|<[=!])/;
const backReference = /\\[1-9]|\\k</;

/** True for what RE2 takes, as far as can be told here: Envoy refuses the whole resource otherwise. */
export function isRegex(text: string): boolean {
  if (text === '' || text.length > 1024 || lookaround.test(text) || backReference.test(text)) return false;
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
