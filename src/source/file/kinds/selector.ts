// SPDX-License-Identifier: Apache-2.0
// The selector of a policy: which workloads it holds for.
import type { PolicyTarget } from '../../../mesh/waypoint-policy.ts';
import { listOf, needed, object, strict, tableOf, text } from '../fields.ts';
import type { Meta } from '../kind.ts';
import { rootNamespace } from '../names.ts';
import type { Labels } from '../objects.ts';
import type { Reading } from '../reading.ts';

const label = text({ is: 'a label without a wildcard', test: (value) => !value.includes('*') });

/** Strict: labels beside matchLabels would leave a policy that holds for more than its author meant. */
export const selector = object({ matchLabels: tableOf(label) }, strict);

/** targetRefs name services and gateways: such a policy is for waypoints. */
const target = object({ group: text(), kind: needed(text()), name: needed(text()), namespace: text() }, strict);
export const targets = { targetRef: target, targetRefs: listOf(target) };

/** Kinds that a policy can be aimed at, and their groups. */
export const targetKinds: ReadonlyMap<string, string> = new Map([
  ['Service', ''],
  ['ServiceEntry', 'networking.istio.io'],
  ['Gateway', 'gateway.networking.k8s.io'],
  ['GatewayClass', 'gateway.networking.k8s.io'],
]);

interface RawTarget {
  readonly group: string | undefined;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
}

/** What targetRefs name; kinds that no policy can be aimed at, and other namespaces, are faults. */
export function targetsOf(raw: readonly RawTarget[], meta: Meta, reading: Reading): PolicyTarget[] {
  return raw.map(({ group = '', kind, name, namespace }, i) => {
    const path = ['spec', 'targetRefs', i];
    const known = targetKinds.get(kind);
    if (known === undefined) reading.faultAt([...path, 'kind'], `${JSON.stringify(kind)} cannot be a target`);
    else if ((group === 'core' ? '' : group) !== known) {
      reading.faultAt([...path, 'group'], `must be ${JSON.stringify(known)} for kind ${kind}`);
    }
    if (namespace !== undefined && namespace !== meta.namespace) {
      reading.faultAt([...path, 'namespace'], "must be the policy's own");
    }
    if (kind === 'GatewayClass' && meta.namespace !== rootNamespace) {
      reading.faultAt([...path, 'kind'], `a GatewayClass can be a target of policies in ${rootNamespace} only`);
    }
    return { group: known ?? group, kind, name };
  });
}

/** What a policy selects; undefined when it holds for all. One that names no label selects nothing less than one that is absent. */
export function selectedBy(
  raw: { readonly matchLabels?: Labels | undefined } | undefined,
  reading: Reading,
): { selector?: Labels } {
  const labels = raw?.matchLabels ?? {};
  const keys = Object.keys(labels);
  if (keys.includes('')) reading.faultAt(['spec', 'selector', 'matchLabels'], 'must not have an empty key');
  if (keys.some((key) => key.includes('*'))) {
    reading.faultAt(['spec', 'selector', 'matchLabels'], 'must not have a wildcard in a key');
  }
  if (raw !== undefined && keys.length === 0 && reading.faults === 0) {
    reading.warnAt(['spec', 'selector'], 'names no label: the policy holds as if it had no selector');
  }
  return keys.length > 0 ? { selector: labels } : {};
}
