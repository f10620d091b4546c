// SPDX-License-Identifier: Apache-2.0
// The sources of an agent: how they are opened, and how they stand, for readiness and for the admin socket.
import type { SourceStatus, XdsSourceStatus, XdsTypeStatus } from '../admin/types.ts';
import type { Report } from '../source/findings.ts';
import type { Source, Tell } from '../source/news.ts';
import type { TypeStatus, XdsStatus } from '../source/xds/types.ts';
import type { Demand, DemandSource } from './demand.ts';

export interface AgentSource extends Source, Partial<DemandSource> {
  /** Of a control plane. */
  status?(): XdsStatus;
}

export interface SourceOpening {
  /** As the source calls itself. */
  readonly name: string;
  /** First it tells everything there is, then what differs. On demand `onAnswer` learns what was answered. */
  open(tell: Tell, onAnswer?: Demand['answered']): AgentSource;
}

/** How one source stands. */
export interface SourceFacts {
  readonly name: string;
  /** Undefined until everything was read once. */
  readonly report: Report | undefined;
  /** Of a control plane. */
  readonly xds: XdsStatus | undefined;
}

export function sourceStatusOf({ name, report, xds }: SourceFacts): SourceStatus {
  return {
    name,
    complete: report !== undefined,
    files: report?.files ?? 0,
    objects: report?.objects ?? 0,
    ...(xds && { xds: xdsStatusOf(xds) }),
  };
}

function xdsStatusOf({ types, ...status }: XdsStatus): XdsSourceStatus {
  return { ...status, types: types.map(typeStatusOf) };
}

function typeStatusOf({ lastResponseAt, ...status }: TypeStatus): XdsTypeStatus {
  return { ...status, ...(lastResponseAt === undefined ? {} : { lastResponseAt }) };
}
