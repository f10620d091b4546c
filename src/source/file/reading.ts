// SPDX-License-Identifier: Apache-2.0
// Collects what reading one file finds: faults, warnings and what is ignored, with line and column.
import type { Finding, Ignored, Place } from '../findings.ts';
import { lineIndex } from '../findings.ts';
import { type Node, nearest, type Path, renderPath } from './node.ts';

/** More than this of one file is cut, so that a file of another sort cannot fill memory with complaints. */
export const maxFindings = 1000;

/** One document being read: field readers report here. `path` is where they are; they push and pop it. */
export interface Reading {
  readonly root: Node;
  readonly resource: string;
  readonly path: (string | number)[];
  /** Faults of this document so far. */
  readonly faults: number;
  place(at: number): Place;
  fault(at: number, reason: string): void;
  warn(at: number, reason: string): void;
  /** As `fault` and `warn`, for a path from the document's root (a path that does not exist is placed at its nearest parent). */
  faultAt(path: Path, reason: string): void;
  warnAt(path: Path, reason: string): void;
  /** Counts something that is read over. */
  ignore(at: number, what: string): void;
}

export interface FileReading {
  readonly faults: Finding[];
  readonly warnings: Finding[];
  ignored(): Ignored[];
  place(at: number): Place;
  document(root: Node, resource: string, path?: Path): Reading;
  ignore(at: number, what: string): void;
}

export function openReading(file: string, text: string): FileReading {
  const positions = lineIndex(text);
  const faults: Finding[] = [];
  const warnings: Finding[] = [];
  const ignored = new Map<string, { what: string; count: number; first: Place }>();
  const place = (at: number): Place => ({ file, ...positions(at) });
  const add = (list: Finding[], at: number, resource: string, field: string, reason: string) => {
    if (list.length > maxFindings) return;
    if (list.length === maxFindings)
      list.push({ file, line: 0, column: 0, resource: '', field: '', reason: 'has more' });
    else list.push({ ...place(at), resource, field, reason });
  };
  const ignore = (at: number, what: string) => {
    const known = ignored.get(what);
    if (known) known.count++;
    else ignored.set(what, { what, count: 1, first: place(at) });
  };
  return {
    faults,
    warnings,
    ignored: () => [...ignored.values()],
    place,
    ignore,
    document(root, resource, prefix = []) {
      let count = 0;
      const path: (string | number)[] = [...prefix];
      const fault = (at: number, reason: string, where: Path) => {
        count++;
        add(faults, at, resource, renderPath(where), reason);
      };
      return {
        root,
        resource,
        path,
        get faults() {
          return count;
        },
        place,
        ignore,
        fault: (at, reason) => fault(at, reason, path),
        warn: (at, reason) => add(warnings, at, resource, renderPath(path), reason),
        faultAt: (where, reason) => fault(nearest(root, where).at, reason, [...prefix, ...where]),
        warnAt: (where, reason) =>
          add(warnings, nearest(root, where).at, resource, renderPath([...prefix, ...where]), reason),
      };
    },
  };
}
