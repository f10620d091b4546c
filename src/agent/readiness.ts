// SPDX-License-Identifier: Apache-2.0
// Whether the node can rely on what is in the kernel, and if not, why.
import { counted, type KmeshError } from '../errors.ts';
import { type Finding, renderPlace } from '../source/findings.ts';
import { openFaultLog } from './fault-log.ts';
import { saysNothing } from './feed.ts';
import type { Log } from './log.ts';
import type { Reconciler } from './reconciler-api.ts';
import type { SourceFacts } from './sources.ts';
import type { ServiceManager } from './systemd.ts';

export interface ReadinessFacts {
  readonly sources: readonly SourceFacts[];
  /** The first whole state was brought to the kernel. */
  readonly applied: boolean;
  /** Services and clients that have no room. */
  readonly refused: number;
  /** Verdicts that have none. */
  readonly refusedVerdicts: number;
  readonly error: KmeshError | undefined;
}

/** Reasons against being ready; none means ready. A control plane that went away later is none: its last state serves on. */
export function notReady({ sources, applied, refused, refusedVerdicts, error }: ReadinessFacts): string[] {
  const waiting = sources.filter(({ report }) => !report);
  const faults = sources.flatMap(({ report }) => report?.faults ?? []);
  const reasons = waiting.map(waitingFor);
  if (sources.length === 0) reasons.push('the configuration is still being read');
  if (faults.length > 0) {
    reasons.push(`the configuration has ${counted(faults.length, 'fault')}; the first: ${placeOf(faults[0])}`);
  }
  if (error) reasons.push(`the kernel could not be written: ${error.code}: ${error.message}`);
  else if (!applied && sources.some(({ report }) => report && saysNothing(report))) {
    reasons.push('what the kernel holds was left as it was');
  } else if (!applied && waiting.length === 0 && sources.length > 0)
    reasons.push('the first state is still being written');
  if (refused > 0)
    reasons.push(
      `${counted(refused, 'service or client has', 'services or clients have')} no room in the kernel's maps`,
    );
  if (refusedVerdicts > 0)
    reasons.push(`${counted(refusedVerdicts, 'entry', 'entries')} of authorization have no room in the kernel's maps`);
  return reasons;
}

function waitingFor({ name, xds }: SourceFacts): string {
  if (!xds) return 'the configuration is still being read';
  if (xds.connected) return `${name} has not sent its whole state yet`;
  return `${name} has not answered yet${xds.lastFault === '' ? '' : `: ${xds.lastFault}`}`;
}

function placeOf(first: Finding | undefined): string {
  if (!first) return '';
  return `${renderPlace(first)}: ${[first.field, first.reason].filter((part) => part !== '').join(' ')}`;
}

/** One line for a service manager. */
export function summary(reasons: readonly string[], services: number, workloads: number): string {
  if (reasons.length > 0) return `not ready: ${reasons.join('; ')}`;
  return `ready: ${counted(services, 'service')}, ${counted(workloads, 'workload')}`;
}

export interface Readiness {
  /** Why not; none means ready. */
  reasons(): readonly string[];
  /** To be called after anything that may change it: tells the service manager and the log. */
  look(): void;
}

/** Follows the reconciler and what the sources reported last. */
export function openReadiness(of: {
  readonly reconciler: Reconciler;
  readonly sources: () => readonly SourceFacts[];
  readonly manager: ServiceManager;
  readonly log: Log;
}): Readiness {
  const { reconciler, manager, log } = of;
  let was: boolean | undefined;
  const logFaults = openFaultLog(log);
  const reasonsOf = (sources: readonly SourceFacts[]): readonly string[] => {
    const { batches, refused, refusedVerdicts, error } = reconciler.status();
    return notReady({
      ...{ sources, applied: batches > 0, error },
      ...{ refused: refused.length, refusedVerdicts: refusedVerdicts.length },
    });
  };
  return {
    reasons: () => reasonsOf(of.sources()),
    look() {
      const sources = of.sources();
      const why = reasonsOf(sources);
      logFaults(sources.map(({ report }) => report));
      const { services, workloads } = reconciler.model;
      manager.status(summary(why, services.size, workloads.size));
      const { batches, error } = reconciler.status();
      const reports = sources.flatMap(({ report }) => report ?? []);
      // Started is not ready: with faults the rest works, and who waits for more can ask.
      const heard = reports.length > 0 && reports.length === sources.length;
      if (heard && (batches > 0 || error || reports.some(saysNothing))) manager.started();
      const is = why.length === 0;
      if (is === was) return;
      was = is;
      if (is) log.info({ services: services.size, workloads: workloads.size }, 'ready');
      else log.warn({ why }, 'not ready');
    },
  };
}
