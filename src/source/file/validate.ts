// SPDX-License-Identifier: Apache-2.0
// What the agent would say of files, without an agent: reads them once, sees them together, resolves and watches nothing.
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { modelOf } from '../../mesh/apply.ts';
import type { Model } from '../../mesh/model.ts';
import { finish } from '../../mesh/steps.ts';
import type { Finding, Report } from '../findings.ts';
import { openBuilder } from './build/builder.ts';
import { openFolder } from './folder.ts';
import { loadFiles, readBytes } from './load.ts';
import type { MeshObject } from './objects.ts';
import type { FileContents } from './read.ts';
import { unreadable } from './read.ts';
import { scanPaths, stdinName } from './scan.ts';

interface Options {
  /** Read when the paths name it as '-'. */
  readonly stdin?: Readable;
  /** As for `openFolderSource`. */
  readonly thread?: URL;
  /** More to warn of, from what is in effect. */
  readonly also?: (objects: Iterable<MeshObject>, model: () => Model) => readonly Finding[];
}

/** The report on files and folders. Never throws for what they hold or when they do not exist: those are faults. */
export async function validateFiles(paths: readonly string[], { stdin, thread, also }: Options = {}): Promise<Report> {
  const scan = await scanPaths(paths, { pipes: true });
  const read = await loadFiles(scan.files, thread, new AbortController().signal);
  const files = new Map<string, FileContents | undefined>(read);
  for (const { name, reason } of scan.faults) files.set(name, unreadable(name, reason));
  if (stdin && paths.includes(stdinName)) files.set(stdinName, readBytes(stdinName, await buffer(stdin)));
  const folder = openFolder();
  folder.order(orderOf(paths, scan.files));
  const builder = openBuilder();
  const objects = folder.update(files);
  const changes = builder.update(objects);
  const report = folder.report(builder.warnings());
  const there = [...objects.values()].filter((object) => object !== undefined);
  const more = also?.(there, () => finish(modelOf(changes))) ?? [];
  return { ...report, warnings: [...report.warnings, ...more] };
}

/** Names of files in the order of the paths that led to them. */
export function orderOf(
  paths: readonly string[],
  files: readonly { readonly name: string; readonly root: number }[],
): string[] {
  const order = [...files, ...paths.flatMap((name, root) => (name === stdinName ? { name, root } : []))];
  return order.sort((a, b) => a.root - b.root).map(({ name }) => name);
}
