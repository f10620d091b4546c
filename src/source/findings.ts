// SPDX-License-Identifier: Apache-2.0
// What a source has to say of what it reads: faults, warnings and what is ignored, each with its place.
import { messageOf } from '../errors.ts';

export interface Place {
  /** As named on the command line, or the path below the folder that was; of a control plane the name of the source. */
  readonly file: string;
  /** From 1; 0: all of the file, or nothing that has lines. */
  readonly line: number;
  /** From 1, in UTF-16 units; 0 with line 0. */
  readonly column: number;
}

/** A fault rejects its document; a warning does not. */
export interface Finding extends Place {
  /** "Pod shop/cart-1", "Node node-a"; '' when it cannot be told. */
  readonly resource: string;
  /** "spec.ports[0].port"; '' is the document itself. */
  readonly field: string;
  readonly reason: string;
  /** The document is rejected, and the version of it that was read before stays in effect. */
  readonly kept?: true;
  /** The document is a policy, is rejected, and was never in effect: all that it may hold for is closed. */
  readonly closes?: true;
  /** The same of a policy of waypoints that names no target in a way that can be read. */
  readonly closesNothing?: true;
}

/** Something that is read over: a kind, or a field that has no meaning here. */
export interface Ignored {
  /** "apps/v1 Deployment", "Service spec.ports.nodePort". */
  readonly what: string;
  readonly count: number;
  readonly first: Place;
}

/** What the agent says of a source, for status and validate. */
export interface Report {
  /** Files read; of a control plane 0. */
  readonly files: number;
  /** Objects in effect. */
  readonly objects: number;
  /** What keeps a document or file out; the agent is not ready while there are any. */
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly ignored: readonly Ignored[];
}

/** The report of a source, what it told with it having been lost. */
export function notTakenUp(report: Report, source: string, error: unknown): Report {
  const reason = `what was read could not be taken up, and is told again: ${messageOf(error)}`;
  const fault: Finding = { file: source, line: 0, column: 0, resource: '', field: '', reason };
  return { ...report, faults: [...report.faults, fault] };
}

export function renderPlace(place: Place): string {
  return place.line === 0 ? place.file : `${place.file}:${place.line}:${place.column}`;
}

/** One line: "shop.yaml:3:9: Pod shop/cart-1: spec.nodeName: must be text, not the number 7". */
export function renderFinding(finding: Finding): string {
  const parts = [renderPlace(finding), finding.resource, finding.field, finding.reason].filter((part) => part !== '');
  return parts.join(': ') + effectOf(finding);
}

function effectOf({ kept, closes, closesNothing }: Finding): string {
  if (kept) return ' (the version read before stays)';
  if (closesNothing) return ' (NOTHING IS CLOSED: no target of it can be read)';
  return closes ? ' (all that it may hold for is closed)' : '';
}

/** Adds up what several files ignore; the first place is that of the earliest file. */
export function mergeIgnored(lists: Iterable<readonly Ignored[]>): Ignored[] {
  const merged = new Map<string, Ignored>();
  for (const list of lists) {
    for (const item of list) {
      const before = merged.get(item.what);
      merged.set(item.what, before ? { ...before, count: before.count + item.count } : item);
    }
  }
  return [...merged.values()];
}

/** Turns offsets into lines and columns of one text. */
export function lineIndex(text: string): (offset: number) => { line: number; column: number } {
  let starts: number[] | undefined;
  return (offset) => {
    if (starts === undefined) {
      starts = [0];
      for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
    }
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] as number) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] as number) + 1 };
  };
}
