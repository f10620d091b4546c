// SPDX-License-Identifier: Apache-2.0
// What the agent would say of files, without an agent: reads them once, sees them together, resolves and watches nothing.
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Report } from '../findings.ts';
import { openBuilder } from './build/builder.ts';
import { openFolder } from './folder.ts';
import { loadFiles, readBytes } from './load.ts';
import type { FileContents } from './read.ts';
import { unreadable } from './read.ts';
import { scanPaths, stdinName } from './scan.ts';

interface Options {
  /** Read when the paths name it as '-'. */
  readonly stdin?: Readable;
  /** As for `openFolderSource`. */
  readonly thread?: URL;
}

/** The report on files and folders. Never throws for what they hold or when they do not exist: those are faults. */
export async function validateFiles(paths: readonly string[], { stdin, thread }: Options = {}): Promise<Report> {
  const scan = await scanPaths(paths);
  const read = await loadFiles(scan.files, thread, new AbortController().signal);
  const files = new Map<string, FileContents | undefined>(read);
  for (const { name, reason } of scan.faults) files.set(name, unreadable(name, reason));
  if (stdin && paths.includes(stdinName)) files.set(stdinName, readBytes(stdinName, await buffer(stdin)));
  const folder = openFolder();
  folder.order(orderOf(paths, scan.files));
  const builder = openBuilder();
  builder.update(folder.update(files));
  return folder.report(builder.warnings());
}

/** Names of files in the order of the paths that led to them. */
export function orderOf(
  paths: readonly string[],
  files: readonly { readonly name: string; readonly root: number }[],
): string[] {
  const order = [...files, ...paths.flatMap((name, root) => (name === stdinName ? { name, root } : []))];
  return order.sort((a, b) => a.root - b.root).map(({ name }) => name);
}
