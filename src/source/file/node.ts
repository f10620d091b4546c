// SPDX-License-Identifier: Apache-2.0
// A document as a tree of values that know where in the text they begin: what every reader and every fault works on.

export interface Entry {
  readonly key: string;
  /** Offset of the key in the file's text. */
  readonly at: number;
  readonly value: Node;
}

export interface MapNode {
  readonly kind: 'map';
  readonly at: number;
  readonly entries: readonly Entry[];
}

export interface ListNode {
  readonly kind: 'list';
  readonly at: number;
  readonly items: readonly Node[];
}

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly at: number;
  readonly value: string | number | boolean | null;
}

/** `at` is the offset in the file's text, in UTF-16 units. */
export type Node = MapNode | ListNode | ScalarNode;

export type Path = readonly (string | number)[];

/** The value of `key` in a mapping; undefined when there is none. */
export function child(node: Node | undefined, key: string): Node | undefined {
  if (node?.kind !== 'map') return undefined;
  for (const entry of node.entries) if (entry.key === key) return entry.value;
  return undefined;
}

/** The text of `key` in a mapping; undefined when it is absent or no text. */
export function childText(node: Node | undefined, key: string): string | undefined {
  const value = child(node, key);
  return value?.kind === 'scalar' && typeof value.value === 'string' ? value.value : undefined;
}

/** The node at `path`, or the nearest one above it that exists. */
export function nearest(root: Node, path: Path): Node {
  let node = root;
  for (const step of path) {
    const next = typeof step === 'string' ? child(node, step) : node.kind === 'list' ? node.items[step] : undefined;
    if (next === undefined) return node;
    node = next;
  }
  return node;
}

const plainKey = /^[A-Za-z0-9_$-]+$/;

/** "spec.ports[0].name"; keys that hold dots or slashes as ["a.b/c"]. */
export function renderPath(path: Path): string {
  let out = '';
  for (const step of path) {
    if (typeof step === 'number') out += `[${step}]`;
    else if (!plainKey.test(step)) out += `[${JSON.stringify(step)}]`;
    else out += out === '' ? step : `.${step}`;
  }
  return out;
}

/** What a value is, for messages: `"x"`, `the number 3`, `a mapping`. */
export function describe(node: Node): string {
  if (node.kind === 'map') return 'a mapping';
  if (node.kind === 'list') return 'a list';
  if (node.value === null) return 'nothing';
  if (typeof node.value === 'number') return `the number ${node.value}`;
  if (typeof node.value === 'boolean') return String(node.value);
  return quote(node.value);
}

/** Text in quotes, long text cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
