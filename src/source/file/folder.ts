// SPDX-License-Identifier: Apache-2.0
// What several files say together: one object for each identity, the last good version of what is broken now, and all complaints.
import { type Finding, mergeIgnored, type Place, type Report, renderPlace } from './findings.ts';
import { identityOf, type MeshObject } from './objects.ts';
import type { FileContents } from './read.ts';

export interface Folder {
  /** Puts files in place of what they said before (undefined: the file is gone). @returns by identity what is in effect now, where it differs. */
  update(files: Iterable<readonly [string, FileContents | undefined]>): Map<string, MeshObject | undefined>;
  /** All complaints, in the order of `files`; `more`: warnings that show only when objects are seen together. */
  report(more: readonly Finding[]): Report;
  /** Sets the order in which files count. Names not listed come last, by name. */
  order(files: readonly string[]): void;
}

interface Candidate {
  readonly file: string;
  readonly object: MeshObject;
  /** Of a document that is broken now. */
  readonly kept: boolean;
}

interface FileState {
  readonly contents: FileContents;
  /** By identity: the first of each in the file. */
  readonly candidates: ReadonlyMap<string, Candidate>;
  /** Repetitions inside the file: the object and the one before it. */
  readonly repeated: readonly { readonly object: MeshObject; readonly first: Place }[];
}

export function openFolder(): Folder {
  const files = new Map<string, FileState>();
  const offers = new Map<string, Candidate[]>();
  const effective = new Map<string, MeshObject>();
  let ranks = new Map<string, number>();

  const byRank = (a: { readonly file: string }, b: { readonly file: string }) => {
    const [x, y] = [ranks.get(a.file) ?? Number.POSITIVE_INFINITY, ranks.get(b.file) ?? Number.POSITIVE_INFINITY];
    if (x !== y) return x < y ? -1 : 1;
    return a.file < b.file ? -1 : a.file > b.file ? 1 : 0;
  };

  const settle = (identities: Iterable<string>): Map<string, MeshObject | undefined> => {
    const changed = new Map<string, MeshObject | undefined>();
    for (const identity of identities) {
      const first = offers.get(identity)?.sort(byRank)[0]?.object;
      if (first === effective.get(identity)) continue;
      changed.set(identity, first);
      if (first) effective.set(identity, first);
      else effective.delete(identity);
    }
    return changed;
  };

  const replace = (file: string, next: FileState | undefined, touched: Set<string>) => {
    for (const identity of files.get(file)?.candidates.keys() ?? []) {
      touched.add(identity);
      const left = (offers.get(identity) ?? []).filter((c) => c.file !== file);
      if (left.length > 0) offers.set(identity, left);
      else offers.delete(identity);
    }
    for (const [identity, candidate] of next?.candidates ?? []) {
      touched.add(identity);
      const others = offers.get(identity);
      if (others) others.push(candidate);
      else offers.set(identity, [candidate]);
    }
    if (next) files.set(file, next);
    else files.delete(file);
  };

  const faultsOf = ({ contents, candidates, repeated }: FileState): Finding[] => {
    const faults = contents.faults.map((fault): Finding => {
      const kept = candidates.get(fault.resource)?.kept || (fault.resource === '' && anyKept(candidates));
      return kept ? { ...fault, kept: true } : fault;
    });
    for (const { object, first } of repeated) faults.push(repetition(object, first));
    for (const [identity, { object, kept }] of candidates) {
      const winner = offers.get(identity)?.[0];
      if (winner && winner.object !== object && !kept) faults.push(repetition(object, winner.object.place));
    }
    return faults;
  };

  return {
    update(changes) {
      const touched = new Set<string>();
      const states = [...changes].map(
        ([file, contents]) => [file, contents && stateOf(contents, files.get(file), effective)] as const,
      );
      for (const [file, state] of states) replace(file, state, touched);
      return settle(touched);
    },
    order(names) {
      ranks = new Map(names.map((name, i) => [name, i]));
    },
    report(more) {
      const faults: Finding[] = [];
      const warnings: Finding[] = [];
      const sorted = [...files.values()].sort((a, b) => byRank(a.contents, b.contents));
      for (const state of sorted) {
        faults.push(...faultsOf(state).sort(byPlace));
        warnings.push(...[...state.contents.warnings].sort(byPlace));
      }
      return {
        files: files.size,
        objects: effective.size,
        faults,
        warnings: [...warnings, ...more],
        ignored: mergeIgnored(sorted.map((s) => s.contents.ignored)),
      };
    },
  };
}

/** By line and column; what has no place in the text comes last. */
function byPlace(a: Place, b: Place): number {
  const line = (place: Place) => place.line || Number.MAX_SAFE_INTEGER;
  return line(a) - line(b) || a.column - b.column;
}

function anyKept(candidates: ReadonlyMap<string, Candidate>): boolean {
  for (const { kept } of candidates.values()) if (kept) return true;
  return false;
}

function repetition(object: MeshObject, first: Place): Finding {
  const reason = `is defined at ${renderPlace(first)} already; this document is left out`;
  return { ...object.place, resource: identityOf(object), field: 'metadata.name', reason };
}

/** A file's objects, and for each rejected document what was in effect before; if it cannot be told which it is, all that the file lost. */
function stateOf(
  contents: FileContents,
  before: FileState | undefined,
  effective: ReadonlyMap<string, MeshObject>,
): FileState {
  const { file } = contents;
  const candidates = new Map<string, Candidate>();
  const repeated: { object: MeshObject; first: Place }[] = [];
  for (const object of contents.objects) {
    const identity = identityOf(object);
    const first = candidates.get(identity);
    if (first) repeated.push({ object, first: first.object.place });
    else candidates.set(identity, { file, object, kept: false });
  }
  const keep = (identity: string, object: MeshObject | undefined) => {
    if (object && !candidates.has(identity)) candidates.set(identity, { file, object, kept: true });
  };
  for (const { identity } of contents.rejected) {
    if (identity !== '') keep(identity, before?.candidates.get(identity)?.object ?? effective.get(identity));
    else for (const [known, { object }] of before?.candidates ?? []) keep(known, object);
  }
  return { contents: { ...contents, objects: [] }, candidates, repeated };
}
