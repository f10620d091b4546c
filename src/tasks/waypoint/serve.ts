// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints in this process, from files, until it is told to stop.
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { abiVersion } from '../../abi/structs.ts';
import { type AdminServer, openAdminServer } from '../../admin/server.ts';
import type { LogLevel } from '../../admin/types.ts';
import { configItems } from '../../agent/config-items.ts';
import { type Log, openLog } from '../../agent/log.ts';
import { openWaypointOutputs } from '../../agent/waypoint-outputs.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError, messageOf } from '../../errors.ts';
import type { ListenAddress } from '../../net/socket-address.ts';
import { stdinName } from '../../source/file/scan.ts';
import { version } from '../../version.ts';
import { lastGoodOfWaypoints } from '../run-dir.ts';
import { type FilesOptions, startFilesControl } from './from-files.ts';
import { type Listening, listenFor } from './listen.ts';
import type { TlsFiles } from './tls-files.ts';
import { waypointFacts, waypointItems } from './told.ts';

export interface ServeOptions extends FilesOptions, TlsFiles {
  readonly place: Place;
  readonly listen: ListenAddress;
  /** Where status, health and metrics are told over HTTP (default: nowhere). */
  readonly status?: ListenAddress;
  readonly logLevel?: LogLevel;
}

/** Resolves once env.signal is aborted and everything is closed. SIGHUP reads everything again. */
export async function serveWaypoints(env: Env, options: ServeOptions): Promise<{ readonly stopped: true }> {
  if (options.config.length === 0) {
    throw new KmeshError('KM_USAGE', '--config is missing', { hint: 'name the folder that the agents read' });
  }
  const log = openLog(env.stderr, options.logLevel ?? 'info', {});
  const listening: { now?: Listening } = {};
  const files = { ...options, lastGood: lastGoodOf(options.place, options.config) };
  const control = startFilesControl(env, files, log, () => listening.now?.reload());
  const { server, notReady, reload } = control;
  const items = () => waypointItems(server, control.model());
  const closers: (() => unknown)[] = [() => control.close()];
  try {
    // Proxies that ask before everything is read wait for it; one that found nobody would try again only much later.
    const listens = await listenFor(server, { where: options.listen, tls: options, flag: '--', log });
    listening.now = listens;
    const { at } = listens;
    closers.push(() => listens.close());
    const told =
      options.status &&
      (await openWaypointOutputs(options.status, {
        ...{ version, notReady, facts: () => waypointFacts(server) },
        status: () => ({ ads: at, waypoints: rows(items(), 'waypoint'), routes: rows(items(), 'route') }),
      }));
    closers.push(() => told?.close());
    const admin = await openAdmin(env, options.place, log, {
      ready: () => ({ ready: notReady().length === 0, notReady: notReady() }),
      version: () => ({ version, abiVersion, node: env.hostname(), pid: process.pid }),
      ads: () => at,
      waypoints: items,
      config: (query) => configItems(control.model(), () => undefined, query),
      log({ level }) {
        const was: LogLevel = log.level;
        log.level = level;
        return { was, level };
      },
      reload,
    });
    closers.push(() => admin?.close());
    await control.loaded;
    log.info(
      { ...at, ...(told && { status: told.address }), ...(admin && { admin: admin.path }) },
      'waypoints are served',
    );
    await new Promise<void>((resolve) => {
      if (env.signal.aborted) resolve();
      else env.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    for (const close of closers.reverse()) await close();
  }
  return { stopped: true };
}

/** Several may share a run directory. */
function lastGoodOf({ runDir }: Place, config: readonly string[]): string {
  const paths = config.map((path) => (path === stdinName ? path : resolve(path)));
  return join(runDir, lastGoodOfWaypoints, createHash('sha256').update(paths.join('\0')).digest('hex').slice(0, 16));
}

/** It serves without one, too: as another user than root, or beside another one. */
async function openAdmin(
  env: Env,
  { runDir }: Place,
  log: Log,
  handlers: Parameters<typeof openAdminServer>[1],
): Promise<AdminServer | undefined> {
  try {
    return await openAdminServer(runDir, handlers, 'waypoints');
  } catch (fault) {
    if (!isOthers(fault, env)) throw fault;
    log.warn({ runDir, reason: messageOf(fault) }, '"kmeshctl waypoint status" cannot ask this one');
    return undefined;
  }
}

/** The run directory belongs to somebody else, or another one is there; whatever else is wrong with it was not meant so. */
function isOthers(fault: unknown, { isRoot }: Env): boolean {
  if (!(fault instanceof KmeshError)) return false;
  const { code } = (fault.cause ?? {}) as NodeJS.ErrnoException;
  return fault.code === 'KM_AGENT_RUNNING' || (!isRoot() && ['EACCES', 'EPERM', 'EROFS'].includes(code ?? ''));
}

const rows = <T extends { readonly kind: string }>(items: Iterable<T>, kind: T['kind']): readonly T[] =>
  [...items].filter((item) => item.kind === kind);
