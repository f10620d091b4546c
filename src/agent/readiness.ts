// SPDX-License-Identifier: Apache-2.0
// Whether the node can rely on what is in the kernel, and if not, why.
import type { KmeshError } from '../errors.ts';
import type { Report } from '../source/findings.ts';
import { saysNothing } from './feed.ts';
import type { Log } from './log.ts';
import type { Reconciler } from './reconciler.ts';
import type { ServiceManager } from './systemd.ts';

export interface ReadinessFacts {
  /** Undefined until everything was read once. */
  readonly report: Report | undefined;
  /** The first whole state was brought to the kernel. */
  readonly applied: boolean;
  /** Services and clients that have no room. */
  readonly refused: number;
  readonly error: KmeshError | undefined;
}

const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** Reasons against being ready; none means ready. */
export function notReady({ report, applied, refused, error }: ReadinessFacts): string[] {
  if (!report) return ['the configuration is still being read'];
  const reasons: string[] = [];
  if (report.faults.length > 0) {
    reasons.push(`the configuration has ${count(report.faults.length, 'fault')}; the first: ${firstOf(report)}`);
  }
  if (error) reasons.push(`the kernel could not be written: ${error.code}: ${error.message}`);
  else if (!applied && saysNothing(report)) reasons.push('what the kernel holds was left as it was');
  else if (!applied) reasons.push('the first state is still being written');
  if (refused > 0)
    reasons.push(`${count(refused, 'service or client has', 'services or clients have')} no room in the kernel's maps`);
  return reasons;
}

function firstOf({ faults }: Report): string {
  const first = faults[0];
  if (!first) return '';
  const where = first.line === 0 ? first.file : `${first.file}:${first.line}:${first.column}`;
  return `${where}: ${[first.field, first.reason].filter((part) => part !== '').join(' ')}`;
}

/** One line for a service manager. */
export function summary(reasons: readonly string[], services: number, workloads: number): string {
  if (reasons.length > 0) return `not ready: ${reasons.join('; ')}`;
  return `ready: ${count(services, 'service')}, ${count(workloads, 'workload')}`;
}

export interface Readiness {
  /** Why not; none means ready. */
  reasons(): readonly string[];
  /** To be called after anything that may change it: tells the service manager and the log. */
  look(): void;
}

/** Follows the reconciler and the source's last report. */
export function openReadiness(of: {
  readonly reconciler: Reconciler;
  readonly report: () => Report | undefined;
  readonly manager: ServiceManager;
  readonly log: Log;
}): Readiness {
  const { reconciler, manager, log } = of;
  let was: boolean | undefined;
  const reasons = (): readonly string[] => {
    const { batches, refused, error } = reconciler.status();
    return notReady({ report: of.report(), applied: batches > 0, refused: refused.length, error });
  };
  return {
    reasons,
    look() {
      const why = reasons();
      const { services, workloads } = reconciler.model;
      manager.status(summary(why, services.size, workloads.size));
      const { batches, error } = reconciler.status();
      const report = of.report();
      // Started is not ready: with faults the rest works, and who waits for more can ask.
      if (report && (batches > 0 || error || saysNothing(report))) manager.started();
      const is = why.length === 0;
      if (is === was) return;
      was = is;
      if (is) log.info({ services: services.size, workloads: workloads.size }, 'ready');
      else log.warn({ why }, 'not ready');
    },
  };
}
