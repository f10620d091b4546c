// SPDX-License-Identifier: Apache-2.0
// From the YAML library's tree to ours: keys as text, aliases and merge keys resolved within bounds, repeated keys found.
import { type Document, isAlias, isMap, isScalar, isSeq, type ParsedNode, parseDocument, type Scalar } from 'yaml';
import { type Entry, type MapNode, type Node, quote } from './node.ts';

export interface SyntaxFault {
  /** Offset in the file's text. */
  readonly at: number;
  readonly reason: string;
}

export interface YamlDocument {
  /** Undefined when there is nothing in it, or nothing that can be read. */
  readonly root: Node | undefined;
  readonly faults: readonly SyntaxFault[];
}

/** Values that aliases may add to one document, so that a few lines cannot grow without end. */
export const maxAliasValues = 100_000;
/**
 * Lines and marks of YAML (commas, colons, quotes, brackets) of one document for the library: values, or faults, roughly. It makes 800 bytes of
 * each, and a heap that is full ends the whole process, whichever thread it belongs to.
 */
export const maxMarks = 1_000_000;
/** How deep values may nest. */
export const maxDepth = 100;
const maxSyntaxFaults = 10;

/** Parses one YAML document that begins at `base` in the file's text. Never throws. */
export function readYaml(text: string, base: number): YamlDocument {
  const tooDeep = { root: undefined, faults: [{ at: base, reason: 'is nested too deeply' }] };
  const { depth, marks } = measure(text);
  if (depth > maxBrackets) return tooDeep;
  if (marks > maxMarks) {
    const reason = `is too large: a document may have ${maxMarks} lines and marks of YAML, unless it is JSON or as kubectl prints it`;
    return { root: undefined, faults: [{ at: base, reason }] };
  }
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { schema: 'core', uniqueKeys: false, prettyErrors: false, logLevel: 'silent' });
  } catch (error) {
    // The library recurses.
    if (error instanceof RangeError) return tooDeep;
    throw error;
  }
  const faults: SyntaxFault[] = [];
  for (const error of [...document.errors, ...document.warnings].slice(0, maxSyntaxFaults)) {
    faults.push({ at: base + error.pos[0], reason: `is not valid YAML: ${sentence(error.message)}` });
  }
  const root = document.contents === null ? undefined : convert(document.contents, base, faults);
  return { root, faults };
}

/** The library's time grows with the square of this. */
const maxBrackets = 5000;

/** How many brackets are open at once, and how many marks there are, counting those in quotes and comments as well: only far more than any real document has matters. */
function measure(text: string): { depth: number; marks: number } {
  let open = 0;
  let depth = 0;
  let marks = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 128 || isMark[code] === 0) continue;
    marks++;
    // [ and {, ] and }, differ in that bit alone.
    if ((code | 32) === 123) depth = Math.max(depth, ++open);
    else if ((code | 32) === 125 && open > 0) open--;
  }
  return { depth, marks };
}

const isMark = new Uint8Array(128);
for (const mark of '\n,:[]{}"\'&*!|>') isMark[mark.charCodeAt(0)] = 1;

/** The library's message in our form: lowercase, no full stop. */
function sentence(message: string): string {
  const first = (message.split('\n')[0] as string).replace(/[.:]$/, '');
  return /^[A-Z][a-z]/.test(first) ? (first[0] as string).toLowerCase() + first.slice(1) : first;
}

interface Anchor {
  readonly node: Node;
  /** Values in it, with those of aliases inside counted each time. */
  readonly size: number;
}

function convert(contents: ParsedNode, base: number, faults: SyntaxFault[]): Node | undefined {
  const anchors = new Map<string, Anchor>();
  const open = new Set<string>();
  let values = 0;
  let added = 0;
  const fault = (node: { range?: readonly number[] | null | undefined }, reason: string): undefined => {
    if (faults.length < maxSyntaxFaults) faults.push({ at: base + (node.range?.[0] ?? 0), reason });
    return undefined;
  };

  const walk = (node: ParsedNode, depth: number): Node | undefined => {
    if (isAlias(node)) {
      if (open.has(node.source)) return fault(node, `alias "*${node.source}" stands inside what it names`);
      const anchor = anchors.get(node.source);
      if (!anchor) return fault(node, `alias "*${node.source}" names nothing above it`);
      values += anchor.size;
      added += anchor.size;
      if (added > maxAliasValues) return fault(node, `aliases add more than ${maxAliasValues} values`);
      return anchor.node;
    }
    if (depth > maxDepth) return fault(node, 'is nested too deeply');
    const name = node.anchor;
    const before = values;
    if (name !== undefined) open.add(name);
    const result = isScalar(node) ? scalar(node) : isMap(node) || isSeq(node) ? collection(node, depth) : undefined;
    if (name !== undefined) {
      open.delete(name);
      if (result) anchors.set(name, { node: result, size: values - before });
    }
    return result;
  };

  const scalar = (node: Scalar.Parsed): Node => {
    values++;
    const value = node.value as unknown;
    const at = base + node.range[0];
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null) {
      return { kind: 'scalar', at, value };
    }
    return { kind: 'scalar', at, value: node.source };
  };

  const collection = (node: ParsedNode, depth: number): Node | undefined => {
    values++;
    const at = base + node.range[0];
    if (isSeq(node)) {
      const items: Node[] = [];
      for (const item of node.items as ParsedNode[]) {
        const value = walk(item, depth + 1);
        if (value) items.push(value);
      }
      return { kind: 'list', at, items };
    }
    if (!isMap(node)) return undefined;
    const entries: Entry[] = [];
    const seen = new Set<string>();
    const merged: Node[] = [];
    for (const pair of node.items) {
      const key = pair.key as ParsedNode;
      if (!isScalar(key)) {
        fault(key, 'a key must be text');
        continue;
      }
      const keyAt = base + key.range[0];
      const value = pair.value ? walk(pair.value as ParsedNode, depth + 1) : nothing(base + key.range[1]);
      if (!value) continue;
      if (key.value === '<<' && key.type === 'PLAIN') {
        merged.push(value);
        continue;
      }
      const text = typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
      if (seen.has(text)) fault(key, `key ${quote(text)} stands twice in the same mapping`);
      else entries.push({ key: text, at: keyAt, value });
      seen.add(text);
    }
    for (const value of merged) {
      // The first of several merged mappings wins, and what the mapping says itself wins over all.
      for (const map of value.kind === 'list' ? value.items : [value]) {
        if (map.kind !== 'map') {
          fault({ range: [map.at - base] }, '"<<" must name a mapping or a list of mappings');
          continue;
        }
        for (const entry of map.entries) if (!seen.has(entry.key)) entries.push(entry);
        for (const entry of map.entries) seen.add(entry.key);
      }
    }
    return { kind: 'map', at, entries } satisfies MapNode;
  };

  return walk(contents, 0);
}

function nothing(at: number): Node {
  return { kind: 'scalar', at, value: null };
}
