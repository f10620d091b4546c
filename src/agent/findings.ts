// SPDX-License-Identifier: Apache-2.0
// What the source reports and what has no room, as the admin socket tells it.
import type { MapName } from '../abi/maps.ts';
import type { IgnoredStatus, Remark, Difference as WireDifference } from '../admin/types.ts';
import type { AuthzRefusal } from '../compile/authz/image.ts';
import type { Refusal } from '../compile/plan.ts';
import { sizeFlag } from '../kernel/sizes.ts';
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

const roomText = (shortage: { readonly map: MapName } | undefined): string => {
  const flag = shortage && sizeFlag(shortage.map);
  return flag === undefined ? '' : ` (${flag} gives it more)`;
};

/** A service, client or port that has no room in the kernel's maps: what becomes of it, and the flag that gives more. */
export function refusalRemark({ services, workload, port, shortage, reason }: Refusal): Remark {
  const remark = (resource: string, meanwhile: string): Remark => {
    return { place: '', resource, field: '', reason: `${reason}${roomText(shortage)}; ${meanwhile}` };
  };
  if (port !== undefined)
    return remark(`waypoint port ${port}`, 'meanwhile ports like it are closed to enrolled clients');
  const stays = 'it stays as it was';
  if (workload !== '') return remark(`workload ${workload}`, stays);
  return remark(services.map((service) => `service ${service}`).join(', '), stays);
}

/** A verdict that has no room: the one of before stands. */
export function verdictRemark({ what, name, policies, shortage, reason }: AuthzRefusal): Remark {
  const behind = policies.length === 0 ? '' : ` (${policies.join(', ')} not in force there)`;
  return {
    place: '',
    resource: `authorization of ${what} ${name}`,
    field: '',
    reason: `${reason}${roomText(shortage)}${behind}`,
  };
}

const kindOf = { missing: 'missing', different: 'different', unexpected: 'extra', refused: 'refused' } as const;

export function differenceOf({ what, name, state, reason }: Difference): WireDifference {
  return { map: what, kind: kindOf[state], about: reason === '' ? name : `${name}: ${reason}` };
}
