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
  const whole: Whole = { place, ignore, add, faults, warnings };
  return {
    faults,
    warnings,
    ignored: () => [...ignored.values()],
    place,
    ignore,
    document: (root, resource, prefix = []) => new DocumentReading(whole, root, resource, prefix),
  };
}

/** What the documents of a file share. */
interface Whole extends Pick<FileReading, 'place' | 'ignore' | 'faults' | 'warnings'> {
  add(list: Finding[], at: number, resource: string, field: string, reason: string): void;
}

/** There is one for each document: functions and getters of its own would cost more than all that is read with it. */
class DocumentReading implements Reading {
  readonly root: Node;
  readonly resource: string;
  readonly path: (string | number)[];
  faults = 0;
  readonly #whole: Whole;
  readonly #prefix: Path;

  constructor(whole: Whole, root: Node, resource: string, prefix: Path) {
    this.root = root;
    this.resource = resource;
    this.path = [...prefix];
    this.#whole = whole;
    this.#prefix = prefix;
  }

  place(at: number): Place {
    return this.#whole.place(at);
  }

  ignore(at: number, what: string): void {
    this.#whole.ignore(at, what);
  }

  fault(at: number, reason: string): void {
    this.#fault(at, reason, this.path);
  }

  warn(at: number, reason: string): void {
    this.#warn(at, reason, this.path);
  }

  faultAt(where: Path, reason: string): void {
    this.#fault(nearest(this.root, where).at, reason, [...this.#prefix, ...where]);
  }

  warnAt(where: Path, reason: string): void {
    this.#warn(nearest(this.root, where).at, reason, [...this.#prefix, ...where]);
  }

  #fault(at: number, reason: string, path: Path): void {
    this.faults++;
    this.#whole.add(this.#whole.faults, at, this.resource, renderPath(path), reason);
  }

  #warn(at: number, reason: string, path: Path): void {
    this.#whole.add(this.#whole.warnings, at, this.resource, renderPath(path), reason);
  }
}
