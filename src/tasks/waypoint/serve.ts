// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints in this process, from files, until it is told to stop.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { abiVersion } from '../../abi/structs.ts';
import { type AdminServer, openAdminServer } from '../../admin/server.ts';
import type { LogLevel, ReloadAnswer } from '../../admin/types.ts';
import { remarkOf } from '../../agent/findings.ts';
import { faultFacts, type Log, openLog } from '../../agent/log.ts';
import { openWaypointOutputs } from '../../agent/waypoint-outputs.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { apply, emptyModel } from '../../mesh/apply.ts';
import type { ListenAddress } from '../../net/socket-address.ts';
import { openFolderSource } from '../../source/file/folder-source.ts';
import type { Report } from '../../source/findings.ts';
import { version } from '../../version.ts';
import { openWaypointServer } from '../../waypoint/server.ts';
import { listenFor } from './listen.ts';
import type { TlsFiles } from './tls.ts';
import { waypointFacts, waypointItems } from './told.ts';

export interface ServeOptions extends TlsFiles {
  readonly place: Place;
  /** Files and folders; '-' is standard input. */
  readonly config: readonly string[];
  readonly listen: ListenAddress;
  /** Where status, health and metrics are told over HTTP (default: nowhere). */
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
    now: () => env.now(),
    requireGrants: options.requireGrants === true,
  });
  let model = emptyModel;
  let report: Report | undefined;
  let taken = 0;
  const source = openFolderSource({
    paths: options.config,
    stdin: env.stdin,
    log,
    ...threadOption(),
    async tell(news) {
      report = news.report;
      taken += news.changes.length;
      model = apply(model, news.changes).model;
      server.update(model);
      log.info({ changes: news.changes.length, faults: report.faults.length }, 'waypoints are told');
    },
  });
  const notReady = (): readonly string[] => {
    if (!report) return ['the configuration is still being read'];
    const { faults } = report;
    return faults.length === 0 ? [] : [`the configuration has ${faults.length} faults; "kmeshctl validate" lists them`];
  };
  const items = () => waypointItems(server, model);
  const closers: (() => unknown)[] = [() => source.close(), () => server.close()];
  try {
    const listening = await listenFor(server, { where: options.listen, tls: options, flag: '--', log });
    closers.push(() => listening.close());
    // Proxies that ask meanwhile wait for it; one that found nobody would try again only much later.
    await source.loaded;
    const reload = async (): Promise<ReloadAnswer> => {
      const before = taken;
      listening.reload();
      await source.reload();
      const faults = report?.faults.map(remarkOf) ?? [];
      log.info({ changes: taken - before, faults: faults.length }, 'configuration read again');
      return { ready: notReady().length === 0, changes: taken - before, faults };
    };
    const stopHangup = env.onHangup?.(
      () => void reload().catch((fault) => log.error(faultFacts(fault), 'configuration could not be read again')),
    );
    closers.push(() => stopHangup?.());
    const told =
      options.status &&
      (await openWaypointOutputs(options.status, {
        ...{ version, notReady, facts: () => waypointFacts(server) },
        status: () => ({ ads: listening.at, waypoints: rows(items(), 'waypoint'), routes: rows(items(), 'route') }),
      }));
    closers.push(() => told?.close());
    const admin = await openAdmin(options.place, log, {
      ready: () => ({ ready: notReady().length === 0, notReady: notReady() }),
      version: () => ({ version, abiVersion, node: env.hostname(), pid: process.pid }),
      ads: () => listening.at,
      waypoints: items,
      log({ level }) {
        const was: LogLevel = log.level;
        log.level = level;
        return { was, level };
      },
      reload,
    });
    closers.push(() => admin?.close());
    const facts = { ...listening.at, ...(told && { status: told.address }), ...(admin && { admin: admin.path }) };
    log.info(facts, 'waypoints are served');
    await new Promise<void>((resolve) => {
      if (env.signal.aborted) resolve();
      else env.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    for (const close of closers.reverse()) await close();
  }
  return { stopped: true };
}

/** It serves without one, too: as another user than root, or beside another one. */
async function openAdmin(
  { runDir }: Place,
  log: Log,
  handlers: Parameters<typeof openAdminServer>[1],
): Promise<AdminServer | undefined> {
  try {
    return await openAdminServer(runDir, handlers, 'waypoints');
  } catch (fault) {
    log.warn({ runDir, reason: (fault as Error).message }, '"kmeshctl waypoint status" cannot ask this one');
    return undefined;
  }
}

const rows = <T extends { readonly kind: string }>(items: Iterable<T>, kind: T['kind']): readonly T[] =>
  [...items].filter((item) => item.kind === kind);

/** The reading thread's script lies beside the bundle; from the sources everything is read in this thread. */
function threadOption(): { readonly thread?: URL } {
  const script = new URL('parse-worker.js', import.meta.url);
  return existsSync(fileURLToPath(script)) ? { thread: script } : {};
}
