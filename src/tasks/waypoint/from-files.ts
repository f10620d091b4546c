// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints told by files and folders, which are watched.
import type { ReloadAnswer } from '../../admin/types.ts';
import { openFaultLog } from '../../agent/fault-log.ts';
import { saysNothing } from '../../agent/feed.ts';
import { remarkOf } from '../../agent/findings.ts';
import { faultFacts, type Log } from '../../agent/log.ts';
import type { Env } from '../../env.ts';
import { apply, emptyModel } from '../../mesh/apply.ts';
import type { Model } from '../../mesh/model.ts';
import { openFolderSource } from '../../source/file/folder-source.ts';
import { notTakenUp, type Report, renderFinding } from '../../source/findings.ts';
import { openWaypointServer, type WaypointServer } from '../../waypoint/server.ts';
import { readingThread } from '../reading-thread.ts';

export interface FilesOptions {
  /** Files and folders; '-' is standard input. */
  readonly config: readonly string[];
  readonly requireGrants?: boolean;
  /** Folder that keeps what is in effect of broken documents over restarts. */
  readonly lastGood?: string;
}

export interface FilesControl {
  readonly server: WaypointServer;
  readonly model: () => Model;
  /** Once everything is read; proxies that ask before wait for it. */
  readonly loaded: Promise<void>;
  /** Why not; none: ready. */
  notReady(): readonly string[];
  /** Why nothing at all could be read; undefined: something was. */
  unread(): string | undefined;
  /** Reads everything again. */
  reload(): Promise<ReloadAnswer>;
  close(): Promise<void>;
}

/** SIGHUP reads everything again; `also` is done each time. */
export function startFilesControl(env: Env, options: FilesOptions, log: Log, also = (): void => {}): FilesControl {
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
  const tellFaults = openFaultLog(log);
  const source = openFolderSource({
    paths: options.config,
    stdin: env.stdin,
    log,
    ...(options.lastGood !== undefined && { lastGood: options.lastGood }),
    ...readingThread(),
    async tell(news) {
      const first = !report || saysNothing(report);
      report = news.report;
      tellFaults([report]);
      // A folder that is not mounted yet, say: proxies keep what they have.
      if (first && saysNothing(report)) return;
      taken += news.changes.length;
      try {
        model = apply(model, news.changes).model;
        server.update(model);
      } catch (error) {
        report = notTakenUp(news.report, source.name, error);
        throw error;
      }
      log.info({ changes: news.changes.length, faults: report.faults.length }, 'waypoints are told');
    },
  });
  const notReady = (): readonly string[] => {
    if (!report) return ['the configuration is still being read'];
    const { length } = report.faults;
    if (length === 0) return [];
    return [`the configuration has ${length} ${length === 1 ? 'fault' : 'faults'}: "kmeshctl validate" lists them`];
  };
  const unread = (): string | undefined =>
    report && saysNothing(report) && taken === 0 ? report.faults.map(renderFinding).join('; ') : undefined;
  const reload = async (): Promise<ReloadAnswer> => {
    const before = taken;
    also();
    await source.reload();
    const faults = report?.faults.map(remarkOf) ?? [];
    log.info({ changes: taken - before, faults: faults.length }, 'configuration read again');
    return { ready: notReady().length === 0, changes: taken - before, faults };
  };
  const stopHangup = env.onHangup?.(
    () => void reload().catch((fault) => log.error(faultFacts(fault), 'configuration could not be read again')),
  );
  return {
    ...{ server, model: () => model, loaded: source.loaded, notReady, unread, reload },
    async close() {
      stopHangup?.();
      await source.close();
      server.close();
    },
  };
}

/** Resolves once everything is read. */
export async function openFilesControl(env: Env, options: FilesOptions, log: Log): Promise<FilesControl> {
  const control = startFilesControl(env, options, log);
  try {
    await control.loaded;
  } catch (fault) {
    await control.close();
    throw fault;
  }
  return control;
}
