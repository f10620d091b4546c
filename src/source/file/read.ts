// SPDX-License-Identifier: Apache-2.0
// One file's text -> its checked objects and everything that is wrong with it. A broken document rejects only itself.
import type { Finding, Ignored, Place } from '../findings.ts';
import { closingObject } from './closing.ts';
import { documentsOf } from './documents.ts';
import { kindOf, nearestKind } from './kinds.ts';
import { child, childText, describe, type Node, type Path, quote } from './node.ts';
import { identityOf, type MeshObject } from './objects.ts';
import { type FileReading, openReading, type Reading } from './reading.ts';

export interface Rejected {
  /** What it says it is; '' when that cannot be told: then it may be any object that the file held before. */
  readonly identity: string;
  readonly place: Place;
  /** What stands in for it when no good version was in effect before: of a policy, one that closes all it may hold for. */
  readonly instead?: MeshObject;
}

/** What a file says. */
export interface FileContents {
  readonly file: string;
  /** In the order of the text; two may have the same identity. */
  readonly objects: readonly MeshObject[];
  readonly rejected: readonly Rejected[];
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly ignored: readonly Ignored[];
}

/** Reads a file's text. Never throws: what does not fit is a fault. */
export function readFileText(file: string, text: string): FileContents {
  const reading = openReading(file, text);
  const objects: MeshObject[] = [];
  const rejected: Rejected[] = [];
  for (const document of documentsOf(text)) {
    const { root } = document;
    if (document.faults.length > 0) {
      const identity = root === undefined ? '' : statedIdentity(root);
      const broken = reading.document(root ?? { kind: 'scalar', at: 0, value: null }, identity);
      for (const { at, reason } of document.faults) broken.fault(at, reason);
      const instead = root && closingObject(root, identity, childText(root, 'kind'), broken);
      rejected.push({ identity, place: reading.place(document.faults[0]?.at ?? 0), ...(instead && { instead }) });
    } else if (root !== undefined && !(root.kind === 'scalar' && root.value === null)) {
      readDocument(reading, root, [], undefined, { objects, rejected });
    }
  }
  return { file, objects, rejected, faults: reading.faults, warnings: reading.warnings, ignored: reading.ignored() };
}

/** A file that could not be read at all: everything it held stays. */
export function unreadable(file: string, reason: string): FileContents {
  const place = { file, line: 0, column: 0 };
  const fault: Finding = { ...place, resource: '', field: '', reason };
  return { file, objects: [], rejected: [{ identity: '', place }], faults: [fault], warnings: [], ignored: [] };
}

interface Out {
  readonly objects: MeshObject[];
  readonly rejected: Rejected[];
}

/** Kind and version that the items of a typed list ("PodList") leave out. */
interface Inherited {
  readonly apiVersion: string;
  readonly kind: string;
}

function readDocument(file: FileReading, root: Node, path: Path, inherited: Inherited | undefined, out: Out): void {
  const kind = childText(root, 'kind') ?? inherited?.kind;
  const apiVersion = childText(root, 'apiVersion') ?? inherited?.apiVersion;
  const identity = statedIdentity(root, inherited);
  const reading = file.document(root, identity, path);
  const reject = () => {
    const instead = closingObject(root, identity, kind, reading);
    out.rejected.push({ identity, place: file.place(root.at), ...(instead && { instead }) });
  };
  if (root.kind !== 'map') reading.fault(root.at, `must be a mapping, not ${describe(root)}`);
  else if (apiVersion === undefined) reading.faultAt(['apiVersion'], stated(root, 'apiVersion'));
  else if (kind === undefined) reading.faultAt(['kind'], stated(root, 'kind'));
  if (reading.faults > 0 || kind === undefined || apiVersion === undefined) {
    reject();
    return;
  }
  const items = child(root, 'items');
  if (items !== undefined && (kind === 'List' || kind.endsWith('List'))) {
    readList(file, reading, items, path, kind === 'List' ? undefined : { apiVersion, kind: kind.slice(0, -4) }, out);
    if (reading.faults > 0) reject();
    return;
  }
  const reader = kindOf(apiVersion, kind);
  if (reader === undefined) {
    file.ignore(root.at, `${apiVersion} ${kind}`);
    const meant = nearestKind(apiVersion, kind);
    if (meant !== undefined) reading.warnAt(['kind'], `${quote(kind)} is not read; did you mean ${meant}?`);
    return;
  }
  if (reader === 'version') {
    reading.faultAt(['apiVersion'], `${quote(apiVersion)} is a version of ${kind} that is not read`);
    reject();
    return;
  }
  const object = reader.read(root, reading);
  if (object === undefined) reject();
  else out.objects.push(object);
}

function readList(
  file: FileReading,
  reading: Reading,
  items: Node,
  path: Path,
  inherited: Inherited | undefined,
  out: Out,
): void {
  if (items.kind !== 'list') {
    reading.faultAt(['items'], `must be a list, not ${describe(items)}`);
    return;
  }
  items.items.forEach((item, i) => {
    readDocument(file, item, [...path, 'items', i], inherited, out);
  });
}

function stated(root: Node, key: string): string {
  const node = child(root, key);
  return node === undefined ? 'is missing' : `must be text, not ${describe(node)}`;
}

/** "Pod shop/cart-1" as far as the document tells, or '' when kind or name are missing. */
function statedIdentity(root: Node, inherited?: Inherited): string {
  const kind = childText(root, 'kind') ?? inherited?.kind;
  const metadata = child(root, 'metadata');
  const name = childText(metadata, 'name');
  if (kind === undefined || name === undefined) return '';
  const reader = kindOf(childText(root, 'apiVersion') ?? inherited?.apiVersion ?? '', kind);
  const cluster = reader !== undefined && reader !== 'version' ? !reader.namespaced : clusterKinds.has(kind);
  return identityOf({ kind, name, namespace: cluster ? '' : (childText(metadata, 'namespace') ?? 'default') });
}

/** Kinds without a namespace, for documents whose apiVersion cannot be read. */
const clusterKinds: ReadonlySet<string> = new Set(['Namespace', 'Node']);
