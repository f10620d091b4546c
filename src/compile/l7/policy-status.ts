// SPDX-License-Identifier: Apache-2.0
// What is said to the author of a policy that waypoints enforce: whether its targets are there, and somebody acts on it.
import type { Model } from '../../mesh/model.ts';
import { routeKey } from '../../mesh/route.ts';
import type { Service } from '../../mesh/service.ts';
import type { PolicyTarget, WaypointPolicy } from '../../mesh/waypoint-policy.ts';
import { type Attachments, doerOf, targetKey } from './attach.ts';
import { isReadable } from './scope.ts';
import type { Condition, ParentStatus, Refusal } from './settle.ts';

/** In place of what the document does not say in a way that can be read. */
const unread = '?';

/** By the policy's key among routes. Asked for seldom, so that nothing is kept for it. */
export function policyStatuses(model: Model, attachments: Attachments): Map<string, readonly ParentStatus[]> {
  const statuses = new Map<string, readonly ParentStatus[]>();
  for (const object of model.routes.values()) {
    if (object.kind !== 'AuthorizationPolicy') continue;
    const said = object.targets.map((target) => ({
      parent: {
        ...{ group: target.group, kind: target.kind || unread, name: target.name || unread },
        namespace: target.kind === 'GatewayClass' ? '' : object.namespace,
      },
      conditions: [acceptedAt(target, object, model, attachments)],
    }));
    statuses.set(routeKey(object), said);
  }
  return statuses;
}

function acceptedAt(target: PolicyTarget, policy: WaypointPolicy, model: Model, attachments: Attachments): Condition {
  const no = refusalOf(target, policy, model, attachments);
  const { refused } = policy;
  // Where nobody judges, nothing can be closed.
  const closes =
    refused === undefined
      ? []
      : [`it was refused, and ${no ? 'closes nothing here' : 'denies everything'}: ${refused}`];
  return {
    type: 'Accepted',
    status: no === undefined && refused === undefined,
    reason: no?.reason ?? (refused === undefined ? 'Accepted' : 'Invalid'),
    message: [no?.message ?? [], closes].flat().join('; '),
  };
}

/** Why nobody enforces it. */
function refusalOf(
  target: PolicyTarget,
  { namespace }: WaypointPolicy,
  model: Model,
  attachments: Attachments,
): Refusal | undefined {
  const { kind, name } = target;
  const key = targetKey(target, namespace);
  const nowhere = (message: string): Refusal => ({
    reason: 'TargetNotFound',
    message: `${message}: nothing is judged`,
  });
  if (kind === '' || name === '') {
    return { reason: 'InvalidTarget', message: 'what it is aimed at cannot be read: nothing is judged' };
  }
  if (key === undefined) {
    return { reason: 'InvalidTarget', message: `it cannot be aimed at ${kind} ${name}: nothing is judged` };
  }
  if (kind === 'GatewayClass') {
    for (const { className } of model.gateways.values()) if (className === name) return undefined;
    return nowhere(`there is no Gateway of class ${name}`);
  }
  if (kind === 'Gateway') {
    const gateway = model.gateways.get(`${namespace}/${name}`);
    if (!gateway) return nowhere(`${key} is not there`);
    if (isReadable(gateway.binding)) return undefined;
    return { reason: 'UnsupportedValue', message: `${key} is no waypoint for a stock Envoy` };
  }
  const services = attachments.servicesOf(key).map((service) => model.services.get(service) as Service);
  if (services.length === 0) return nowhere(`${key} is not there`);
  const doers = services.map((service) => doerOf(service, model));
  if (doers.some(({ refusal, note }) => refusal === undefined && note === '')) return undefined;
  const [{ refusal, note } = { note: '' }] = doers;
  return refusal === undefined
    ? { reason: 'AncestorNotBound', message: note }
    : { reason: 'UnsupportedValue', message: refusal };
}
