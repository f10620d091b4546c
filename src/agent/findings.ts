// SPDX-License-Identifier: Apache-2.0
// What the source reports and what has no room, as the admin socket tells it.
import type { IgnoredStatus, Remark, Difference as WireDifference } from '../admin/types.ts';
import type { AuthzRefusal } from '../compile/authz/image.ts';
import type { Refusal } from '../compile/plan.ts';
import { type Finding, type Ignored, renderPlace } from '../source/findings.ts';
import type { Difference } from './drift.ts';

export function remarkOf(finding: Finding): Remark {
  const { resource, field, reason, kept } = finding;
  const note = kept ? ' (the version read before stays)' : '';
  return { place: renderPlace(finding), resource, field, reason: `${reason}${note}` };
}

export function ignoredOf({ what, count, first }: Ignored): IgnoredStatus {
  return { what, count, place: renderPlace(first) };
}

/** A service or client that has no room in the kernel's maps. */
export function refusalRemark(refusal: Refusal): Remark {
  const { services, workload, reason } = refusal;
  const resource = workload === '' ? services.map((s) => `service ${s}`).join(', ') : `workload ${workload}`;
  return { place: '', resource, field: '', reason };
}

/** A verdict that has no room: the one of before stands. */
export function verdictRemark({ what, name, policies, reason }: AuthzRefusal): Remark {
  const behind = policies.length === 0 ? '' : ` (${policies.join(', ')} not in force there)`;
  return { place: '', resource: `authorization of ${what} ${name}`, field: '', reason: `${reason}${behind}` };
}

const kindOf = { missing: 'missing', different: 'different', unexpected: 'extra', refused: 'refused' } as const;

export function differenceOf({ what, name, state, reason }: Difference): WireDifference {
  return { map: what, kind: kindOf[state], about: reason === '' ? name : `${name}: ${reason}` };
}
