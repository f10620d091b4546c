// SPDX-License-Identifier: Apache-2.0
// Regular expressions of Envoy (RE2): which texts are none, and texts that stand for themselves.
import { isRe2 } from './re2.ts';

const longest = 1024;

/** True for what Envoy takes: it refuses the whole resource otherwise. */
export function isRegex(text: string): boolean {
  return text !== '' && text.length <= longest && isRe2(text);
}

export function quoted(text: string): string {
  return text
    .replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
    .replaceAll('\\/', '/')
    .replaceAll('\\-', '-');
}
