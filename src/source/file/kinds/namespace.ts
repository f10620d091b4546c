// SPDX-License-Identifier: Apache-2.0
// Namespace: only its annotation for traffic distribution counts.
import { object, silent, silentFields } from '../fields.ts';
import { annotatedDistribution, base, defineKind } from '../kind.ts';

export const namespaceKind = defineKind({
  kind: 'Namespace',
  group: '',
  versions: ['v1'],
  namespaced: false,
  shape: { spec: object(silentFields('finalizers')), status: silent },
  make: (_raw, meta, reading) => ({ kind: 'Namespace', ...base(meta), ...annotatedDistribution(meta, reading) }),
});
