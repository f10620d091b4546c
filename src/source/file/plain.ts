// SPDX-License-Identifier: Apache-2.0
// Reads the plain sort of YAML that kubectl prints (block mappings and lists, one-line scalars, literal blocks) about twenty times as fast
// as the library. Whatever is not that sort, or is wrong in any way, is left to the library: undefined means "not for me".
import type { Entry, Node, ScalarNode } from './node.ts';
import { maxDepth, type YamlDocument } from './yaml-node.ts';

/** Thrown and caught here only: the text is not of the plain sort. */
const notPlain = new Error('not plain');

const SPACE = 32;
const TAB = 9;
const HASH = 35;
const COLON = 58;
const DASH = 45;
const QUOTE = 34;
const APOSTROPHE = 39;
const BACKSLASH = 92;

/** Reads one document that begins at `base` in the file's text. */
export function readPlain(text: string, base: number): YamlDocument | undefined {
  if (text.includes('\r')) return undefined;
  const cursor = openCursor(text);
  try {
    cursor.marker();
    if (!cursor.peek()) return { root: undefined, faults: [] };
    const root = block(text, base, cursor, cursor.indent, 0);
    if (root.kind !== 'map' || cursor.peek()) return undefined;
    return { root, faults: [] };
  } catch (error) {
    if (error === notPlain) return undefined;
    throw error;
  }
}

interface Cursor {
  /** Of the line that `peek` found. */
  readonly indent: number;
  readonly start: number;
  /** Behind the last character before the newline. */
  readonly end: number;
  /** Finds the next line that is neither blank nor a comment, without passing it; false at the end. */
  peek(): boolean;
  /** Passes the line found. */
  pass(): void;
  /** Passes "---" on the first line. */
  marker(): void;
  /** Passes to an offset that is the start of a line. */
  jump(to: number): void;
}

function openCursor(text: string): Cursor {
  let at = 0;
  let found = false;
  let indent = 0;
  let start = 0;
  let end = 0;
  const lineEnd = (from: number) => {
    const newline = text.indexOf('\n', from);
    return newline === -1 ? text.length : newline;
  };
  return {
    get indent() {
      return indent;
    },
    get start() {
      return start;
    },
    get end() {
      return end;
    },
    peek() {
      if (found) return true;
      while (at < text.length) {
        start = at;
        while (text.charCodeAt(start) === SPACE) start++;
        const code = text.charCodeAt(start);
        if (code === TAB) throw notPlain;
        end = lineEnd(start);
        if (start < end && code !== HASH) {
          indent = start - at;
          found = true;
          return true;
        }
        at = end + 1;
      }
      return false;
    },
    pass() {
      found = false;
      at = end + 1;
    },
    marker() {
      if (!text.startsWith('---')) return;
      const to = lineEnd(0);
      if (blankFrom(text, 3, to) === undefined) throw notPlain;
      at = to + 1;
    },
    jump(to) {
      found = false;
      at = to;
    },
  };
}

/** `to` when only spaces and a comment stand between; undefined when something else does. */
function blankFrom(text: string, from: number, to: number): number | undefined {
  let i = from;
  while (i < to && text.charCodeAt(i) === SPACE) i++;
  if (i === to) return to;
  return text.charCodeAt(i) === HASH && i > from ? to : undefined;
}

function isItem(text: string, cursor: Cursor): boolean {
  if (text.charCodeAt(cursor.start) !== DASH) return false;
  return cursor.start + 1 === cursor.end || text.charCodeAt(cursor.start + 1) === SPACE;
}

/** The mapping or list whose first line was found at `indent`. */
function block(text: string, base: number, cursor: Cursor, indent: number, depth: number): Node {
  if (depth > maxDepth) throw notPlain;
  if (!isItem(text, cursor)) return mapping(text, base, cursor, indent, cursor.start, depth);
  const at = base + cursor.start;
  const items: Node[] = [];
  while (cursor.peek() && cursor.indent === indent && isItem(text, cursor)) {
    let from = cursor.start + 1;
    while (text.charCodeAt(from) === SPACE) from++;
    if (from >= cursor.end || text.charCodeAt(from) === HASH) {
      const empty = base + cursor.start + 1;
      cursor.pass();
      items.push(below(text, base, cursor, indent, false, depth, empty));
    } else if (text.charCodeAt(from) === DASH && (from + 1 === cursor.end || text.charCodeAt(from + 1) === SPACE)) {
      throw notPlain;
    } else if (keyEnd(text, from, cursor.end) !== -1) {
      items.push(mapping(text, base, cursor, indent + from - cursor.start, from, depth + 1));
    } else items.push(value(text, base, cursor, indent, from));
  }
  if (cursor.peek() && cursor.indent > indent) throw notPlain;
  return { kind: 'list', at, items };
}

/** A mapping at `indent` whose first key begins at `from` in the line found. */
function mapping(text: string, base: number, cursor: Cursor, indent: number, from: number, depth: number): Node {
  const at = base + from;
  const entries: Entry[] = [];
  let start = from;
  do {
    const colon = keyEnd(text, start, cursor.end);
    if (colon === -1) throw notPlain;
    const key = text.slice(start, colon);
    for (const entry of entries) if (entry.key === key) throw notPlain;
    let after = colon + 1;
    while (text.charCodeAt(after) === SPACE) after++;
    const keyAt = base + start;
    if (after >= cursor.end || text.charCodeAt(after) === HASH) {
      cursor.pass();
      entries.push({ key, at: keyAt, value: below(text, base, cursor, indent, true, depth, base + colon + 1) });
    } else entries.push({ key, at: keyAt, value: value(text, base, cursor, indent, after) });
    if (!cursor.peek() || cursor.indent < indent) break;
    if (cursor.indent > indent || isItem(text, cursor)) {
      // A list at the indent of the key it belongs to is read there; here it can only end a mapping inside an item of that list.
      throw notPlain;
    }
    start = cursor.start;
  } while (entries.length < 1000);
  if (entries.length >= 1000) throw notPlain;
  return { kind: 'map', at, entries };
}

/** What stands in the lines below a key or dash at `indent`; nothing is null. */
function below(
  text: string,
  base: number,
  cursor: Cursor,
  indent: number,
  ofKey: boolean,
  depth: number,
  empty: number,
): Node {
  if (cursor.peek()) {
    const nested = cursor.indent > indent || (ofKey && cursor.indent === indent && isItem(text, cursor));
    if (nested) return block(text, base, cursor, cursor.indent, depth + 1);
  }
  return { kind: 'scalar', at: empty, value: null };
}

/** Offset of the colon behind a plain key that begins at `from`; -1 when there is none. */
function keyEnd(text: string, from: number, to: number): number {
  if (!startsKey(text.charCodeAt(from))) return -1;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code === COLON && (i + 1 === to || text.charCodeAt(i + 1) === SPACE)) {
      return text.charCodeAt(i - 1) === SPACE ? -1 : i;
    }
    if (code === TAB || (code === HASH && text.charCodeAt(i - 1) === SPACE)) return -1;
  }
  return -1;
}

/** Letters, digits, "_", "/" and "$": nothing that begins anything else in YAML. "." for the field sets of Kubernetes. */
function startsKey(code: number): boolean {
  return (
    (code >= 97 && code <= 122) ||
    (code >= 65 && code <= 90) ||
    (code >= 46 && code <= 57) ||
    code === 95 ||
    code === 36
  );
}

/** A value that begins at `from` in the line found, in a mapping or list at `indent`. */
function value(text: string, base: number, cursor: Cursor, indent: number, from: number): Node {
  const { end } = cursor;
  const at = base + from;
  const code = text.charCodeAt(from);
  let node: Node;
  if (code === QUOTE || code === APOSTROPHE) node = { kind: 'scalar', at, value: quoted(text, from, end, code) };
  else if (code === 124) return literal(text, base, cursor, indent, from);
  else if (code === 123 || code === 91) node = emptyFlow(text, at, from, end, code);
  else if (startsKey(code) || code === DASH || code === 43 || code === 40) node = bare(text, at, from, end);
  else throw notPlain;
  cursor.pass();
  // A deeper line would go on with this value.
  if (cursor.peek() && cursor.indent > indent) throw notPlain;
  return node;
}

function emptyFlow(text: string, at: number, from: number, end: number, code: number): Node {
  const close = code + 2;
  if (text.charCodeAt(from + 1) !== close || blankFrom(text, from + 2, end) === undefined) throw notPlain;
  return code === 123 ? { kind: 'map', at, entries: [] } : { kind: 'list', at, items: [] };
}

function quoted(text: string, from: number, end: number, mark: number): string {
  let i = from + 1;
  let plain = true;
  for (; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === TAB) throw notPlain;
    if (mark === QUOTE && code === BACKSLASH) {
      plain = false;
      i++;
    } else if (code === mark) {
      if (mark === QUOTE || text.charCodeAt(i + 1) !== mark) break;
      plain = false;
      i++;
    }
  }
  if (i >= end || blankFrom(text, i + 1, end) === undefined) throw notPlain;
  const inner = text.slice(from + 1, i);
  if (plain) return inner;
  if (mark === APOSTROPHE) return inner.replaceAll("''", "'");
  // What JSON escapes, YAML escapes alike; the other escapes of YAML are not plain.
  if (/\\[^"\\/bfnrtu]|\\u(?![0-9a-fA-F]{4})/.test(inner.replaceAll('\\\\', ''))) throw notPlain;
  return JSON.parse(`"${inner}"`) as string;
}

/** A scalar without quotes: text, or what the core schema of YAML 1.2 makes of it. */
function bare(text: string, at: number, from: number, end: number): ScalarNode {
  let last = from;
  for (let i = from; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === TAB) throw notPlain;
    if (code === COLON && (i + 1 === end || text.charCodeAt(i + 1) === SPACE)) throw notPlain;
    if (code === HASH && text.charCodeAt(i - 1) === SPACE) break;
    if (code !== SPACE) last = i;
  }
  const word = text.slice(from, last + 1);
  const code = text.charCodeAt(from);
  if (code === DASH && (word.length === 1 || text.charCodeAt(from + 1) === SPACE)) throw notPlain;
  return { kind: 'scalar', at, value: coreValue(word, code) };
}

function coreValue(word: string, code: number): string | number | boolean | null {
  const numeric = (code >= 48 && code <= 57) || code === DASH || code === 43 || code === 46;
  if (numeric) {
    if (/^[-+]?\d+$/.test(word)) return Number(word);
    if (/^[-+]?(\.\d+|\d+(\.\d*)?)$/.test(word)) return Number(word);
    // Exponents, hexadecimal, octal, infinities: rare enough for the library.
    if (/^([-+]?[\d.]+[eE][-+]?\d+|0[xo][\da-fA-F]+|[-+]?\.\w+)$/.test(word)) throw notPlain;
    return word;
  }
  switch (word) {
    case 'null':
    case 'Null':
    case 'NULL':
      return null;
    case 'true':
    case 'True':
    case 'TRUE':
      return true;
    case 'false':
    case 'False':
    case 'FALSE':
      return false;
    default:
      return word;
  }
}

/** A block behind "|" or "|-", of lines deeper than `indent`. */
function literal(text: string, base: number, cursor: Cursor, indent: number, from: number): ScalarNode {
  const strip = text.charCodeAt(from + 1) === DASH;
  if (blankFrom(text, from + (strip ? 2 : 1), cursor.end) === undefined) throw notPlain;
  const lines: string[] = [];
  let at = cursor.end + 1;
  let inner = -1;
  let kept = 0;
  while (at < text.length) {
    const newline = text.indexOf('\n', at);
    if (newline === -1) throw notPlain;
    let start = at;
    while (text.charCodeAt(start) === SPACE) start++;
    if (start === newline) {
      // Blank lines before the first, or with spaces of their own, have rules that are the library's business.
      if (inner === -1 || start - at > inner) throw notPlain;
      lines.push('');
    } else {
      if (text.charCodeAt(start) === TAB) throw notPlain;
      if (inner === -1 && start - at > indent) inner = start - at;
      if (inner === -1 || start - at < inner) break;
      lines.push(text.slice(at + inner, newline));
      kept = lines.length;
    }
    at = newline + 1;
  }
  if (inner === -1) throw notPlain;
  cursor.jump(at);
  if (cursor.peek() && cursor.indent > indent) throw notPlain;
  const body = lines.slice(0, kept).join('\n');
  return { kind: 'scalar', at: base + from, value: strip ? body : `${body}\n` };
}
