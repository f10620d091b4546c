// SPDX-License-Identifier: Apache-2.0
// Namespace: what its labels and annotations say of traffic.
import { object, silent, silentFields } from '../fields.ts';
import { annotatedDistribution, base, defineKind } from '../kind.ts';
import { waypointWish } from '../waypoint-labels.ts';

export const namespaceKind = defineKind({
  kind: 'Namespace',
  group: '',
  versions: ['v1'],
  namespaced: false,
  shape: { spec: object(silentFields('finalizers')), status: silent },
  make: (_raw, meta, reading) => ({
    kind: 'Namespace',
    ...base(meta),
    labels: meta.labels,
    ...waypointWish(meta, reading, meta.name),
    ...annotatedDistribution(meta, reading),
  }),
});
