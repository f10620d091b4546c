// SPDX-License-Identifier: Apache-2.0
// Whether the node can rely on what is in the kernel, and if not, why.
import type { KmeshError } from '../errors.ts';
import type { Report } from '../source/file/findings.ts';

export interface ReadinessFacts {
  /** Undefined until everything was read once. */
  readonly report: Report | undefined;
  /** The first whole state was brought to the kernel, or tried. */
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
