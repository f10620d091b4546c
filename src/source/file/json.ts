// SPDX-License-Identifier: Apache-2.0
// Reads JSON with places, many times as fast as the YAML library reads it. Undefined means "not for me": then it is no JSON, or has a fault
// that the library is to name.
import type { Entry, Node } from './node.ts';
import { maxDepth, type YamlDocument } from './yaml-node.ts';

/** Thrown and caught here only. */
const notJson = new Error('not JSON');

const number = /-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?/y;
const words = [
  ['true', true],
  ['false', false],
  ['null', null],
] as const;

/** Reads one document that begins at `base` in the file's text. */
export function readJson(text: string, base: number): YamlDocument | undefined {
  let at = 0;
  const space = () => {
    for (;;) {
      const code = text.charCodeAt(at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      at++;
    }
  };
  const expect = (mark: string) => {
    if (text[at] !== mark) throw notJson;
    at++;
  };

  const string = (): string => {
    const from = at;
    expect('"');
    let escapes = false;
    for (; ; at++) {
      const code = text.charCodeAt(at);
      if (code === 34) break;
      // Also the end of the text, which is NaN.
      if (!(code >= 32)) throw notJson;
      if (code === 92) {
        escapes = true;
        at++;
      }
    }
    at++;
    if (!escapes) return text.slice(from + 1, at - 1);
    try {
      return JSON.parse(text.slice(from, at)) as string;
    } catch {
      throw notJson;
    }
  };

  /** Calls `item` for each between the marks. */
  const items = (close: string, item: () => void) => {
    at++;
    space();
    if (text[at] !== close) {
      for (;;) {
        item();
        space();
        if (text[at] !== ',') break;
        at++;
        space();
      }
    }
    expect(close);
  };

  const value = (depth: number): Node => {
    if (depth > maxDepth) throw notJson;
    const start = base + at;
    switch (text[at]) {
      case '{': {
        const entries: Entry[] = [];
        const seen = new Set<string>();
        items('}', () => {
          const keyAt = base + at;
          const key = string();
          if (seen.has(key)) throw notJson;
          seen.add(key);
          space();
          expect(':');
          space();
          entries.push({ key, at: keyAt, value: value(depth + 1) });
        });
        return { kind: 'map', at: start, entries };
      }
      case '[': {
        const list: Node[] = [];
        items(']', () => list.push(value(depth + 1)));
        return { kind: 'list', at: start, items: list };
      }
      case '"':
        return { kind: 'scalar', at: start, value: string() };
      default: {
        for (const [word, meaning] of words) {
          if (!text.startsWith(word, at)) continue;
          at += word.length;
          return { kind: 'scalar', at: start, value: meaning };
        }
        number.lastIndex = at;
        const match = number.exec(text);
        if (!match) throw notJson;
        at += match[0].length;
        return { kind: 'scalar', at: start, value: Number(match[0]) };
      }
    }
  };

  space();
  if (text[at] !== '{') return undefined;
  try {
    const root = value(0);
    space();
    return at === text.length ? { root, faults: [] } : undefined;
  } catch (error) {
    if (error === notJson) return undefined;
    throw error;
  }
}
