// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints told by files and folders, which are watched.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { faultFacts, type Log } from '../../agent/log.ts';
import type { Env } from '../../env.ts';
import { apply, emptyModel } from '../../mesh/apply.ts';
import type { Model } from '../../mesh/model.ts';
import { openFolderSource } from '../../source/file/folder-source.ts';
import { openWaypointServer, type WaypointServer } from '../../waypoint/server.ts';

export interface FilesOptions {
  /** Files and folders; '-' is standard input. */
  readonly config: readonly string[];
  readonly requireGrants?: boolean;
}

export interface FilesControl {
  readonly server: WaypointServer;
  readonly model: () => Model;
  close(): Promise<void>;
}

/** Resolves once everything is read. SIGHUP reads it again. */
export async function openFilesControl(env: Env, options: FilesOptions, log: Log): Promise<FilesControl> {
  const locality = { region: '', zone: '', subzone: '' };
  const server = openWaypointServer({
    view: { node: '', network: '', clusterId: '', locality },
    log,
    requireGrants: options.requireGrants === true,
  });
  let model = emptyModel;
  const source = openFolderSource({
    paths: options.config,
    stdin: env.stdin,
    log,
    ...threadOption(),
    async tell({ changes, report }) {
      model = apply(model, changes).model;
      server.update(model);
      log.info({ changes: changes.length, faults: report.faults.length }, 'waypoints are told');
    },
  });
  const stopHangup = env.onHangup?.(
    () => void source.reload().catch((fault) => log.error(faultFacts(fault), 'reload')),
  );
  const close = async (): Promise<void> => {
    stopHangup?.();
    await source.close();
    server.close();
  };
  try {
    // Who asks before everything is read would be told that there is nothing.
    await source.loaded;
  } catch (fault) {
    await close();
    throw fault;
  }
  return { server, model: () => model, close };
}

/** The reading thread's script lies beside the bundle; from the sources everything is read in this thread. */
function threadOption(): { readonly thread?: URL } {
  const script = new URL('parse-worker.js', import.meta.url);
  return existsSync(fileURLToPath(script)) ? { thread: script } : {};
}
