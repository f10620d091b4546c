// SPDX-License-Identifier: Apache-2.0
// A folder source under test: what it told, and waiting for what it is to tell.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Change } from '../../../src/mesh/model.ts';
import { type FolderSourceOptions, openFolderSource } from '../../../src/source/file/folder-source.ts';
import { type Report, renderFinding } from '../../../src/source/findings.ts';
import { dedent } from './texts.ts';

/** A folder that goes with the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'km-source-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function pod(name: string, node = 'n1'): string {
  return dedent(`
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: ${name}}
    spec: {nodeName: ${node}}
    status: {podIP: 10.0.0.1}
  `);
}

/** Opens a source that is closed with the test. Pods are named by name, with the node they are on. */
export function listen(paths: readonly string[], more: Partial<FolderSourceOptions> = {}) {
  const told: { changes: readonly Change[]; report: Report }[] = [];
  const pods = new Map<string, string>();
  const facts: object[] = [];
  const warnings: string[] = [];
  let wake = () => {};
  const source = openFolderSource({
    paths,
    log: {
      debug: (fact) => void facts.push(fact),
      info: () => {},
      warn: (fact, message) => void warnings.push(`${message} ${JSON.stringify(fact)}`),
      error: (fact, message) => {
        throw new Error(`${message} ${JSON.stringify(fact)}`);
      },
    },
    async tell({ changes, report }) {
      told.push({ changes, report });
      for (const change of changes) {
        if (change.kind === 'put-workload') pods.set(change.workload.name, change.workload.node);
        else if (change.kind === 'remove-workload') pods.delete(change.uid.slice(change.uid.lastIndexOf('/') + 1));
      }
      wake();
    },
    resolver: async () => ({ addresses: ['192.0.2.1'], ttl: 300 }),
    ...more,
  });
  onTestFinished(() => source.close());
  return {
    source,
    told,
    /** What every look read: {read, changes}. */
    facts,
    warnings,
    state: () => Object.fromEntries([...pods].sort()),
    faults: () => told.at(-1)?.report.faults.map(renderFinding) ?? [],
    /** Waits until `check` says so. */
    async until(check: () => boolean, ms = 20_000): Promise<void> {
      const started = performance.now();
      while (!check()) {
        const left = ms - (performance.now() - started);
        if (left <= 0) throw new Error(`still ${JSON.stringify(Object.fromEntries(pods))} after ${ms} ms`);
        await new Promise<void>((done) => {
          wake = done;
          setTimeout(done, Math.min(left, 20));
        });
      }
    },
  };
}
