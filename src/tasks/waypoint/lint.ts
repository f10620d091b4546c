// SPDX-License-Identifier: Apache-2.0
// What is wrong with routes and aimed policies that is wrong with none of their fields: what they name is not there.
import { type Attachments, attachRoutes } from '../../compile/l7/attach.ts';
import { policyStatuses } from '../../compile/l7/policy-status.ts';
import type { ParentStatus } from '../../compile/l7/settle.ts';
import type { Model } from '../../mesh/model.ts';
import { type BackendRef, type HttpFilter, type HttpRule, type Route, routeKey } from '../../mesh/route.ts';
import {
  type AuthorizationPolicyObject,
  identityOf,
  type MeshObject,
  type RouteDocument,
} from '../../source/file/objects.ts';
import type { Finding } from '../../source/findings.ts';

export type PolicyStatuses = ReadonlyMap<string, readonly ParentStatus[]>;

type Say = (document: MeshObject, field: string, reason: string) => void;

/** Warnings, for what is missing may be in files that are not among these. `modelOf` is asked when there is something to look at. */
export function lintRoutes(objects: Iterable<MeshObject>, modelOf: () => Model): readonly Finding[] {
  const documents = [...objects].filter(isLooked);
  if (documents.length === 0) return [];
  const warnings: Finding[] = [];
  const say: Say = (document, field, reason) =>
    warnings.push({ ...document.place, resource: identityOf(document), field, reason });
  const model = modelOf();
  const attachments = attachRoutes(model);
  const statuses = policyStatuses(model, attachments);
  for (const document of documents) {
    if (document.kind === 'AuthorizationPolicy') aimedAtNobody(model, document, statuses, say);
    else ofRoute(model, document, attachments, say);
  }
  return warnings;
}

type Looked = Exclude<RouteDocument, { readonly kind: 'ReferenceGrant' }> | AuthorizationPolicyObject;

const isLooked = (object: MeshObject): object is Looked =>
  (object.kind === 'AuthorizationPolicy' && object.aimed !== undefined && object.refused === undefined) ||
  ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'].includes(object.kind);

/** Waypoints enforce it, or nobody does. */
export function aimedAtNobody(
  model: Model,
  document: AuthorizationPolicyObject,
  statuses: PolicyStatuses,
  say: (document: AuthorizationPolicyObject, field: string, reason: string) => void,
): void {
  statuses.get(identityOf(document))?.forEach(({ parent, conditions }, i) => {
    // Files without any of that kind say nothing about whether it is there.
    const known = parent.kind.startsWith('Gateway') ? model.gateways : model.services;
    const no = conditions.find(({ type, status }) => type === 'Accepted' && !status);
    if (no && known.size > 0) say(document, `spec.targetRefs[${i}]`, no.message);
  });
}

function ofRoute(model: Model, document: Extract<Looked, Route>, attachments: Attachments, say: Say): void {
  if (model.services.size === 0) return;
  const route = model.routes.get(routeKey(document)) as Route;
  for (const { parent, conditions } of attachments.status.get(routeKey(document)) ?? []) {
    const no = conditions.find(({ type, status }) => type === 'Accepted' && !status);
    if (no)
      say(
        document,
        `spec.parentRefs[${route.parents.indexOf(parent)}]`,
        `${inFiles(no.message)}: it holds nowhere there`,
      );
  }
  const lost = document.kind === 'HTTPRoute' || document.kind === 'GRPCRoute' ? 'requests' : 'connections';
  for (const [backend, target] of attachments.targetsOf(routeKey(document))) {
    if (typeof target === 'string' || target.reason === 'InvalidKind') continue;
    const { field, mirror } = fieldOf(route, backend);
    const outcome = mirror ? 'copies of requests are not sent' : `${lost} for it fail`;
    say(document, field, `${inFiles(target.message)}: ${outcome}`);
  }
}

const inFiles = (message: string): string => message.replace(/ is not there$/, ' is not in these files');

function fieldOf(route: Route, backend: BackendRef): { readonly field: string; readonly mirror: boolean } {
  const isMirror = (filter: HttpFilter) => filter.kind === 'mirror' && filter.backend === backend;
  for (const [i, { backends = [], filters = [] }] of (route.rules as readonly Partial<HttpRule>[]).entries()) {
    const rule = `spec.rules[${i}]`;
    const at = backends.findIndex((one) => one === backend || one.filters.some(isMirror));
    if (at >= 0) {
      const mirror = backends[at] !== backend;
      return { field: `${rule}.backendRefs[${at}]${mirror ? '.filters' : ''}`, mirror };
    }
    if (filters.some(isMirror)) return { field: `${rule}.filters`, mirror: true };
  }
  return { field: 'spec.rules', mirror: false };
}
