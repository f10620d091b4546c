// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints in this process, from files, until it is told to stop.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { LogLevel } from '../../admin/types.ts';
import { faultFacts, openLog } from '../../agent/log.ts';
import type { Env } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { apply, emptyModel } from '../../mesh/apply.ts';
import type { ListenAddress } from '../../net/socket-address.ts';
import { openFolderSource } from '../../source/file/folder-source.ts';
import { openWaypointServer, type WaypointServer } from '../../waypoint/server.ts';
import { listenFor, unusable } from './listen.ts';

export interface ServeOptions {
  /** Files and folders; '-' is standard input. */
  readonly config: readonly string[];
  readonly listen: ListenAddress;
  /** Where what proxies and authors of routes should know is told over HTTP (default: nowhere). */
  readonly status?: ListenAddress;
  readonly requireGrants?: boolean;
  readonly logLevel?: LogLevel;
}

/** Resolves once env.signal is aborted and everything is closed. SIGHUP reads everything again. */
export async function serveWaypoints(env: Env, options: ServeOptions): Promise<{ readonly stopped: true }> {
  if (options.config.length === 0) {
    throw new KmeshError('KM_USAGE', '--config is missing', { hint: 'name the folder that the agents read' });
  }
  const log = openLog(env.stderr, options.logLevel ?? 'info', {});
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
  let told: Awaited<ReturnType<typeof openStatus>> | undefined;
  try {
    await source.loaded;
    // Who asks before everything is read would be told that there is nothing.
    const address = await listenFor(server, options.listen);
    told = options.status && (await openStatus(server, options.status));
    log.info({ address, ...(told && { status: told.address }) }, 'waypoints are served');
    await new Promise<void>((resolve) => {
      if (env.signal.aborted) resolve();
      else env.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    stopHangup?.();
    await source.close();
    told?.close();
    server.close();
  }
  return { stopped: true };
}

async function openStatus(waypoints: WaypointServer, where: ListenAddress) {
  const http = createServer((_, response) => {
    const routes = [...waypoints.routes()].map(([route, parents]) => ({ route, parents }));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ waypoints: waypoints.status(), routes }));
  });
  await new Promise<void>((resolve, reject) => {
    http.once('error', (error) => reject(unusable(where, error)));
    http.listen(where.port, where.host, resolve);
  });
  const at = http.address();
  const address = typeof at === 'object' && at ? `${at.address}:${at.port}` : '';
  return { address, close: () => http.close() };
}

/** The reading thread's script lies beside the bundle; from the sources everything is read in this thread. */
function threadOption(): { readonly thread?: URL } {
  const script = new URL('parse-worker.js', import.meta.url);
  return existsSync(fileURLToPath(script)) ? { thread: script } : {};
}
