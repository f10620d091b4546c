// SPDX-License-Identifier: Apache-2.0
// What stands in for a policy whose document is refused: nobody knows what it was to forbid, so all that it may hold for is closed.
import type { PolicyTarget } from '../../mesh/waypoint-policy.ts';
import { textHash } from './build/hash.ts';
import { dryRunAnnotation } from './kinds/authorization-policy.ts';
import { targetKinds } from './kinds/selector.ts';
import { isLabel, isName, rootNamespace } from './names.ts';
import { child, childText, type Node } from './node.ts';
import type { AuthorizationPolicyObject, Labels, MeshObject, PeerAuthenticationObject } from './objects.ts';
import type { Reading } from './reading.ts';

/** Undefined for what is no policy, has no name to hold it by, or would not be enforced here anyway. */
export function closingObject(
  root: Node,
  identity: string,
  kind: string | undefined,
  reading: Reading,
): AuthorizationPolicyObject | PeerAuthenticationObject | undefined {
  if (identity === '' || (kind !== 'AuthorizationPolicy' && kind !== 'PeerAuthentication')) return undefined;
  const apiVersion = childText(root, 'apiVersion') ?? 'security.istio.io/';
  if (!apiVersion.startsWith('security.istio.io/')) return undefined;
  const metadata = child(root, 'metadata');
  const stated = childText(metadata, 'name') ?? '';
  const namespace = childText(metadata, 'namespace') ?? 'default';
  if (stated === '' || !isLabel(namespace)) return undefined;
  // A name that nothing may have is a fault like any other: what it forbids is not let through for that.
  const name = isName(stated) ? stated : `refused-${textHash(stated, 0).toString(16)}`;
  const spec = child(root, 'spec');
  const selector = selectorOf(child(spec, 'selector'));
  const base = {
    namespace,
    name,
    place: reading.place((child(metadata, 'name') as Node).at),
    ...(selector && { selector }),
    refused: 'its document is refused, and no good version of it is known',
  };
  if (kind === 'PeerAuthentication') return { kind, ...base, mode: 'UNSET', ports: [] };
  const action = childText(spec, 'action');
  const dry = childText(child(metadata, 'annotations'), dryRunAnnotation) === 'true';
  if (action === 'AUDIT' || action === 'CUSTOM' || dry) return undefined;
  const targets = targetsOf(spec, namespace);
  if (targets) {
    const { refused } = base;
    const aimed = { kind, namespace, name, targets, action: 'deny', rules: [], dryRun: false, refused } as const;
    return { kind, ...base, action: 'none', rules: [], dryRun: false, aimed };
  }
  return { kind, ...base, action: 'deny', rules: [], dryRun: false };
}

/**
 * What a policy is aimed at, by kinds and names as far as they can be read: where they cannot, by empty ones, which nothing has. Undefined when
 * it is aimed at nothing. A class outside the root namespace loses its group, so that nobody closes the waypoints of others.
 */
function targetsOf(spec: Node | undefined, namespace: string): PolicyTarget[] | undefined {
  const [list, one] = ['targetRefs', 'targetRef']
    .map((key) => child(spec, key))
    .map((node) => (isSaid(node) ? node : undefined));
  // One that is no list is meant as its only item.
  const refs = list?.kind === 'list' ? list.items : [list ?? one].flatMap((node) => node ?? []);
  if (refs.length === 0) return undefined;
  return refs.map((ref) => {
    const [kind = '', name = ''] = ['kind', 'name'].map((key) => childText(ref, key));
    const isOthers = kind === 'GatewayClass' && namespace !== rootNamespace;
    return { group: (isOthers ? undefined : targetKinds.get(kind)) ?? '', kind, name };
  });
}

/** A policy of waypoints none of whose targets is one. */
export function closesNothing(object: MeshObject): boolean {
  if (object.kind !== 'AuthorizationPolicy' || !object.aimed) return false;
  return object.aimed.targets.every(({ group, kind, name }) => name === '' || targetKinds.get(kind) !== group);
}

/** Null and an empty list are as if they were absent. */
function isSaid(node: Node | undefined): boolean {
  if (node?.kind === 'list') return node.items.length > 0;
  return node !== undefined && !(node.kind === 'scalar' && node.value === null);
}

/** Labels of a selector that can be read; undefined closes the whole namespace. */
function selectorOf(node: Node | undefined): Labels | undefined {
  const labels = child(node, 'matchLabels');
  if (labels?.kind !== 'map' || labels.entries.length === 0) return undefined;
  const pairs: [string, string][] = [];
  for (const { key, value } of labels.entries) {
    if (value.kind !== 'scalar' || typeof value.value !== 'string' || `${key}${value.value}`.includes('*'))
      return undefined;
    pairs.push([key, value.value]);
  }
  return Object.fromEntries(pairs);
}

/** What is in effect while a document is refused: what was before, marked when it is a policy; else what stands in. */
export function inEffect(before: MeshObject | undefined, instead: MeshObject | undefined): MeshObject | undefined {
  if (before?.kind !== 'AuthorizationPolicy' && before?.kind !== 'PeerAuthentication') return before ?? instead;
  if (before.refused !== undefined) return instead ?? before;
  return before.stale === undefined ? { ...before, stale: 'a later version of its document is refused' } : before;
}
