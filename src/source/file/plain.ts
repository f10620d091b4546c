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

/** Reads one document: what stands from `from` to `to` in the file's text, where a line ends or the text does. */
export function readPlain(text: string, from = 0, to = text.length): YamlDocument | undefined {
  if (text.slice(from, to).includes('\r')) return undefined;
  const lines = new Lines(text, from, to);
  try {
    lines.marker();
    if (!lines.peek()) return { root: undefined, faults: [] };
    const root = block(lines, lines.indent, 0);
    if (root.kind !== 'map' || lines.peek()) return undefined;
    return { root, faults: [] };
  } catch (error) {
    if (error === notPlain) return undefined;
    throw error;
  }
}

/** The lines of a document, one after the other. A class with fields, as there are thousands of documents and each asks for all of its characters. */
class Lines {
  readonly text: string;
  /** Of the line that `peek` found. */
  indent = 0;
  start = 0;
  /** Behind the last character before the newline. */
  end = 0;
  #at: number;
  readonly to: number;
  #found = false;

  constructor(text: string, from: number, to: number) {
    this.text = text;
    this.#at = from;
    this.to = to;
  }

  /** Finds the next line that is neither blank nor a comment, without passing it; false at the end. */
  peek(): boolean {
    if (this.#found) return true;
    const { text, to } = this;
    let at = this.#at;
    while (at < to) {
      let start = at;
      while (text.charCodeAt(start) === SPACE) start++;
      const code = text.charCodeAt(start);
      if (code === TAB) throw notPlain;
      const end = this.endOf(start);
      if (start < end && code !== HASH) {
        this.#found = true;
        this.#at = at;
        this.indent = start - at;
        this.start = start;
        this.end = end;
        return true;
      }
      at = end + 1;
    }
    this.#at = at;
    return false;
  }

  /** Passes the line found. */
  pass(): void {
    this.#found = false;
    this.#at = this.end + 1;
  }

  /** Passes to an offset that is the start of a line. */
  jump(to: number): void {
    this.#found = false;
    this.#at = to;
  }

  /** Passes "---" on the first line. */
  marker(): void {
    const at = this.#at;
    if (!this.text.startsWith('---', at)) return;
    const end = this.endOf(at);
    if (blankFrom(this.text, at + 3, end) === undefined) throw notPlain;
    this.#at = end + 1;
  }

  endOf(from: number): number {
    const newline = this.text.indexOf('\n', from);
    return newline === -1 ? this.to : newline;
  }
}
/** `to` when only spaces and a comment stand between; undefined when something else does. */
function blankFrom(text: string, from: number, to: number): number | undefined {
  let i = from;
  while (i < to && text.charCodeAt(i) === SPACE) i++;
  if (i === to) return to;
  return text.charCodeAt(i) === HASH && i > from ? to : undefined;
}

function isItem({ text, start, end }: Lines): boolean {
  return text.charCodeAt(start) === DASH && (start + 1 === end || text.charCodeAt(start + 1) === SPACE);
}

/** The mapping or list whose first line was found at `indent`. */
function block(lines: Lines, indent: number, depth: number): Node {
  if (depth > maxDepth) throw notPlain;
  if (!isItem(lines)) return mapping(lines, indent, lines.start, depth);
  const { text, start: at } = lines;
  const items: Node[] = [];
  while (lines.peek() && lines.indent === indent && isItem(lines)) {
    const { start, end } = lines;
    let from = start + 1;
    while (text.charCodeAt(from) === SPACE) from++;
    if (from >= end || text.charCodeAt(from) === HASH) {
      lines.pass();
      items.push(below(lines, indent, false, depth, start + 1));
    } else if (text.charCodeAt(from) === DASH && (from + 1 === end || text.charCodeAt(from + 1) === SPACE)) {
      throw notPlain;
    } else if (keyEnd(text, from, end) !== -1) {
      items.push(mapping(lines, indent + from - start, from, depth + 1));
    } else items.push(value(lines, indent, from));
  }
  if (lines.peek() && lines.indent > indent) throw notPlain;
  return { kind: 'list', at, items };
}

/** A mapping at `indent` whose first key begins at `at` in the line found. */
function mapping(lines: Lines, indent: number, at: number, depth: number): Node {
  const { text } = lines;
  const entries: Entry[] = [];
  let start = at;
  do {
    const colon = keyEnd(text, start, lines.end);
    if (colon === -1) throw notPlain;
    const key = text.slice(start, colon);
    for (const entry of entries) if (entry.key === key) throw notPlain;
    let after = colon + 1;
    while (text.charCodeAt(after) === SPACE) after++;
    if (after >= lines.end || text.charCodeAt(after) === HASH) {
      lines.pass();
      entries.push({ key, at: start, value: below(lines, indent, true, depth, colon + 1) });
    } else entries.push({ key, at: start, value: value(lines, indent, after) });
    if (!lines.peek() || lines.indent < indent) break;
    // A list at the indent of the key it belongs to is read there; here it can only end a mapping inside an item of that list.
    if (lines.indent > indent || isItem(lines)) throw notPlain;
    start = lines.start;
  } while (entries.length < 1000);
  if (entries.length >= 1000) throw notPlain;
  return { kind: 'map', at, entries };
}

/** What stands in the lines below a key or dash at `indent`; nothing is null. */
function below(lines: Lines, indent: number, ofKey: boolean, depth: number, empty: number): Node {
  if (lines.peek()) {
    const nested = lines.indent > indent || (ofKey && lines.indent === indent && isItem(lines));
    if (nested) return block(lines, lines.indent, depth + 1);
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

/** A value that begins at `at` in the line found, in a mapping or list at `indent`. */
function value(lines: Lines, indent: number, at: number): Node {
  const { text, end } = lines;
  const code = text.charCodeAt(at);
  let node: Node;
  if (code === QUOTE || code === APOSTROPHE) node = { kind: 'scalar', at, value: quoted(text, at, end, code) };
  else if (code === 124) return literal(lines, indent, at);
  else if (code === 123 || code === 91) node = emptyFlow(text, at, end, code);
  else if (startsKey(code) || code === DASH || code === 43 || code === 40) node = bare(text, at, end);
  else throw notPlain;
  lines.pass();
  // A deeper line would go on with this value.
  if (lines.peek() && lines.indent > indent) throw notPlain;
  return node;
}

function emptyFlow(text: string, at: number, end: number, code: number): Node {
  const close = code + 2;
  if (text.charCodeAt(at + 1) !== close || blankFrom(text, at + 2, end) === undefined) throw notPlain;
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
function bare(text: string, at: number, end: number): ScalarNode {
  let last = at;
  for (let i = at; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === TAB) throw notPlain;
    if (code === COLON && (i + 1 === end || text.charCodeAt(i + 1) === SPACE)) throw notPlain;
    if (code === HASH && text.charCodeAt(i - 1) === SPACE) break;
    if (code !== SPACE) last = i;
  }
  const word = text.slice(at, last + 1);
  const code = text.charCodeAt(at);
  if (code === DASH && (word.length === 1 || text.charCodeAt(at + 1) === SPACE)) throw notPlain;
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
function literal(lines: Lines, indent: number, from: number): ScalarNode {
  const { text, to } = lines;
  const strip = text.charCodeAt(from + 1) === DASH;
  if (blankFrom(text, from + (strip ? 2 : 1), lines.end) === undefined) throw notPlain;
  const rows: string[] = [];
  let at = lines.end + 1;
  let inner = -1;
  let kept = 0;
  while (at < to) {
    const newline = text.indexOf('\n', at);
    if (newline === -1) throw notPlain;
    let start = at;
    while (text.charCodeAt(start) === SPACE) start++;
    if (start === newline) {
      // Blank lines before the first, or with spaces of their own, have rules that are the library's business.
      if (inner === -1 || start - at > inner) throw notPlain;
      rows.push('');
    } else {
      if (text.charCodeAt(start) === TAB) throw notPlain;
      if (inner === -1 && start - at > indent) inner = start - at;
      if (inner === -1 || start - at < inner) break;
      rows.push(text.slice(at + inner, newline));
      kept = rows.length;
    }
    at = newline + 1;
  }
  if (inner === -1) throw notPlain;
  lines.jump(at);
  if (lines.peek() && lines.indent > indent) throw notPlain;
  const body = rows.slice(0, kept).join('\n');
  return { kind: 'scalar', at: from, value: strip ? body : `${body}\n` };
}
