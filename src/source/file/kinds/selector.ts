// SPDX-License-Identifier: Apache-2.0
// The selector of a policy: which workloads it holds for.
import { listOf, object, tableOf, text } from '../fields.ts';
import type { Labels } from '../objects.ts';
import type { Reading } from '../reading.ts';

const label = text({ is: 'a label without a wildcard', test: (value) => !value.includes('*') });

/** Strict: labels beside matchLabels would leave a policy that holds for more than its author meant. */
export const selector = object({ matchLabels: tableOf(label) }, { strict: true });

/** targetRefs name services and gateways: such a policy is for waypoints. */
export const targets = { targetRef: object({}, { open: true }), targetRefs: listOf(object({}, { open: true })) };

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
