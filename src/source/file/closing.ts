// SPDX-License-Identifier: Apache-2.0
// What stands in for a policy whose document is refused: nobody knows what it was to forbid, so all that it may hold for is closed.
import type { PolicyTarget } from '../../mesh/waypoint-policy.ts';
import { dryRunAnnotation } from './kinds/authorization-policy.ts';
import { isLabel, isName } from './names.ts';
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
  const name = childText(metadata, 'name') ?? '';
  const namespace = childText(metadata, 'namespace') ?? 'default';
  if (!isName(name) || !isLabel(namespace)) return undefined;
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
  const targets = targetsOf(spec);
  if (targets) {
    const { refused } = base;
    const aimed = { kind, namespace, name, targets, action: 'deny', rules: [], dryRun: false, refused } as const;
    return { kind, ...base, action: 'none', rules: [], dryRun: false, aimed };
  }
  return { kind, ...base, action: 'deny', rules: [], dryRun: false };
}

/** What a policy is aimed at, as far as that can be read; undefined when it is aimed at nothing. */
function targetsOf(spec: Node | undefined): PolicyTarget[] | undefined {
  const list = child(spec, 'targetRefs');
  const one = child(spec, 'targetRef');
  // One that is no list is meant as its only item.
  const refs = list?.kind === 'list' ? list.items : one ? [one] : list ? [list] : undefined;
  return refs?.map((ref) => {
    const [group, kind, name] = ['group', 'kind', 'name'].map((key) => childText(ref, key) ?? '') as [
      string,
      string,
      string,
    ];
    return { group: group === 'core' ? '' : group, kind, name };
  });
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
