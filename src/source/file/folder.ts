// SPDX-License-Identifier: Apache-2.0
// What several files say together: one object for each identity, the last good version of what is broken now, and all complaints.
import { equal } from '../../mesh/equal.ts';
import { type Finding, mergeIgnored, type Place, type Report, renderPlace } from '../findings.ts';
import { closesNothing, inEffect } from './closing.ts';
import type { LastGood } from './last-good.ts';
import { identityOf, type MeshObject } from './objects.ts';
import type { FileContents } from './read.ts';

export interface Folder {
  /** Puts files in place of what they said before (undefined: the file is gone). @returns by identity what is in effect now, where it differs. */
  update(files: Iterable<readonly [string, FileContents | undefined]>): Map<string, MeshObject | undefined>;
  /** All complaints, in the order of `files`; `more`: warnings that show only when objects are seen together. */
  report(more: readonly Finding[]): Report;
  /** Sets the order in which files count. Names not listed come last, by name. */
  order(files: readonly string[]): void;
  /** What is to be remembered over a restart: policies, and what stays of broken documents. Undefined while nothing was read that says anything. */
  readonly lastGood: LastGood | undefined;
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

/**
 * `remembered`: what files said before a restart. It counts as read before, once anything is read at all, and holds for files that no update
 * mentions, too.
 */
export function openFolder(remembered: LastGood = new Map()): Folder {
  const files = new Map<string, FileState>();
  const lastGood = new Map<string, readonly MeshObject[]>();
  let speaks = false;
  /** Identity -> who offers it: nearly always one, so a list is made only for several, in order. */
  const offers = new Map<string, Candidate | Candidate[]>();
  /** Identities that several offer. */
  const contested = new Set<string>();
  let ranks = new Map<string, number>();

  const byRank = (a: { readonly file: string }, b: { readonly file: string }) => {
    const [x, y] = [ranks.get(a.file) ?? Number.POSITIVE_INFINITY, ranks.get(b.file) ?? Number.POSITIVE_INFINITY];
    if (x !== y) return x < y ? -1 : 1;
    return a.file < b.file ? -1 : a.file > b.file ? 1 : 0;
  };

  const winner = (identity: string): Candidate | undefined => {
    const offer = offers.get(identity);
    return Array.isArray(offer) ? offer[0] : offer;
  };

  const offer = (identity: string, candidates: Candidate[]) => {
    if (candidates.length > 1) {
      offers.set(identity, candidates.sort(byRank));
      contested.add(identity);
      return;
    }
    contested.delete(identity);
    if (candidates[0]) offers.set(identity, candidates[0]);
    else offers.delete(identity);
  };

  /** `touched`: identity -> what was in effect before the first touch. */
  const replace = (file: string, next: FileState | undefined, touched: Map<string, MeshObject | undefined>) => {
    const touch = (identity: string) => {
      if (!touched.has(identity)) touched.set(identity, winner(identity)?.object);
    };
    for (const [identity, candidate] of files.get(file)?.candidates ?? []) {
      touch(identity);
      offer(
        identity,
        [offers.get(identity) ?? []].flat().filter((c) => c !== candidate),
      );
    }
    for (const [identity, candidate] of next?.candidates ?? []) {
      touch(identity);
      offer(identity, [offers.get(identity) ?? [], candidate].flat());
    }
    if (next) files.set(file, next);
    else files.delete(file);
    remember(file, next);
  };

  const remember = (file: string, state: FileState | undefined) => {
    const objects: MeshObject[] = [];
    for (const { object, kept } of state?.candidates.values() ?? []) if (kept || isPolicy(object)) objects.push(object);
    const before = lastGood.get(file) ?? [];
    if (objects.length === before.length && objects.every((object, i) => object === before[i])) return;
    if (objects.length > 0) lastGood.set(file, objects);
    else lastGood.delete(file);
  };
  /** Of before the restart. */
  const recalled = new Map([...remembered].map(([file, objects]) => [file, recalledState(file, objects)]));
  /** With what is recalled when these changes are the first that say anything: files that cannot be told to be gone hold what they held. */
  const withRecalled = (changes: Changes): Changes => {
    speaks = true;
    const read = new Map<string, FileContents | undefined>(
      [...recalled].map(([file, { contents }]) => [file, contents]),
    );
    for (const [file, { contents }] of files) read.set(file, contents);
    for (const [file, contents] of changes) read.set(file, contents);
    return read;
  };

  const faultsOf = ({ contents, candidates, repeated }: FileState): Finding[] => {
    const faults = contents.faults.map((fault): Finding => {
      const candidate = candidates.get(fault.resource);
      if (candidate?.kept && isRefused(candidate.object)) {
        return { ...fault, ...(closesNothing(candidate.object) ? { closesNothing: true } : { closes: true }) };
      }
      const kept = candidate?.kept || (fault.resource === '' && anyKept(candidates));
      return kept ? { ...fault, kept: true } : fault;
    });
    for (const { object, first } of repeated) faults.push(repetition(object, first));
    for (const identity of contested) {
      const mine = candidates.get(identity);
      const first = winner(identity);
      if (first && mine && first !== mine && !mine.kept) faults.push(repetition(mine.object, first.object.place));
    }
    return faults;
  };

  return {
    update(given) {
      const touched = new Map<string, MeshObject | undefined>();
      const recalls = !speaks && [...given].some(([, contents]) => contents && saysSomething(contents));
      const elsewhere = recalls ? recalledObjects(recalled.values()) : undefined;
      for (const [file, contents] of given) if (!contents) recalled.delete(file);
      const changes = recalls ? withRecalled(given) : given;
      const before = (file: string) => (recalls ? recalled.get(file) : undefined) ?? files.get(file);
      const effective = (identity: string) => winner(identity)?.object ?? elsewhere?.get(identity);
      const states = [...changes].map(
        ([file, contents]) => [file, contents && stateOf(contents, before(file), effective)] as const,
      );
      for (const [file, state] of states) replace(file, state, touched);
      const changed = new Map<string, MeshObject | undefined>();
      for (const [identity, before] of touched) {
        const now = winner(identity)?.object;
        if (now !== before) changed.set(identity, now);
      }
      return changed;
    },
    get lastGood() {
      return speaks ? lastGood : undefined;
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
        objects: offers.size,
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

type Changes = Iterable<readonly [string, FileContents | undefined]>;

const isPolicy = ({ kind }: MeshObject): boolean => kind === 'AuthorizationPolicy' || kind === 'PeerAuthentication';

const saysSomething = ({ objects, rejected }: FileContents): boolean =>
  objects.length > 0 || rejected.some(({ instead }) => instead);

/** As if it had been read, and could not be read again. */
function recalledState(file: string, objects: readonly MeshObject[]): FileState {
  const rejected = [{ identity: '', place: { file, line: 0, column: 0 } }];
  return {
    contents: { file, objects: [], rejected, faults: [], warnings: [], ignored: [] },
    candidates: new Map(objects.map((object) => [identityOf(object), { file, object, kept: true }])),
    repeated: [],
  };
}

function recalledObjects(states: Iterable<FileState>): ReadonlyMap<string, MeshObject> {
  const objects = new Map<string, MeshObject>();
  for (const { candidates } of states) for (const [identity, { object }] of candidates) objects.set(identity, object);
  return objects;
}

function isRefused(object: MeshObject): boolean {
  return 'refused' in object && object.refused !== undefined;
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
  effective: (identity: string) => MeshObject | undefined,
): FileState {
  const { file } = contents;
  const candidates = new Map<string, Candidate>();
  const repeated: { object: MeshObject; first: Place }[] = [];
  for (const object of contents.objects) {
    const identity = identityOf(object);
    const first = candidates.get(identity);
    if (first) repeated.push({ object, first: first.object.place });
    else candidates.set(identity, { file, object: settled(object, before?.candidates.get(identity)), kept: false });
  }
  const keep = (identity: string, object: MeshObject | undefined) => {
    if (object && !candidates.has(identity)) candidates.set(identity, { file, object, kept: true });
  };
  for (const { identity, instead } of contents.rejected) {
    const mine = before?.candidates.get(identity)?.object;
    if (identity !== '') keep(identity, mine ? inEffect(mine, instead) : (effective(identity) ?? instead));
    else for (const [known, { object }] of before?.candidates ?? []) keep(known, object);
  }
  return { contents: { ...contents, objects: [] }, candidates, repeated };
}

/** The object read before when the new one says the same, if at another place: then nothing follows from reading it again. */
function settled(object: MeshObject, before: Candidate | undefined): MeshObject {
  if (!before || !equal({ ...object, place: 0 }, { ...before.object, place: 0 })) return object;
  // The one thing about an object that may change while it is in effect: nothing is built of it, complaints are written with it.
  Object.assign(before.object.place, object.place);
  return before.object;
}
