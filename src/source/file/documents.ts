// SPDX-License-Identifier: Apache-2.0
// The documents of one file: cut at the markers first, so that a broken document cannot spoil the others.
import { readJson } from './json.ts';
import { readPlain } from './plain.ts';
import { readYaml, type YamlDocument } from './yaml-node.ts';

/** Where documents may begin: "---" or "..." at the start of a line can stand nowhere else in YAML. */
const marker = /^(?:---|\.\.\.)(?=[ \t\r\n]|$)/gm;

/** The documents of a file in order. Empty ones are left out; those that cannot be read come with faults. */
export function* documentsOf(text: string): Generator<YamlDocument> {
  for (const [from, to] of pieces(text)) {
    const document = readPlain(text, from, to) ?? readOther(text.slice(from, to), from);
    if (document.root !== undefined || document.faults.length > 0) yield document;
  }
}

function readOther(piece: string, from: number): YamlDocument {
  return readJson(piece, from) ?? readYaml(piece, from);
}

/** [from, to) of each piece between markers. Directives ("%YAML 1.2") go with the document that follows them. */
export function pieces(text: string): [number, number][] {
  const out: [number, number][] = [];
  const directives = /^%/m.test(text);
  let from = 0;
  for (const match of text.matchAll(marker)) {
    const at = match.index;
    if (directives && match[0] === '---' && onlyDirectives(text, from, at)) continue;
    if (at > from) out.push([from, at]);
    // "..." ends a document and is no part of the next one.
    from = match[0] === '---' ? at : at + 3;
  }
  if (from < text.length) out.push([from, text.length]);
  return out;
}

function onlyDirectives(text: string, from: number, to: number): boolean {
  const lines = text.slice(from, to).split('\n');
  return lines.some((line) => line.startsWith('%')) && lines.every((line) => /^(%.*|\s*(#.*)?)$/.test(line));
}
