// SPDX-License-Identifier: Apache-2.0
// WorkloadEntry: a workload that is no pod.
import { needed, object, silent } from '../fields.ts';
import { base, defineKind } from '../kind.ts';
import { canonical, tunnelOf } from '../names.ts';
import type { WorkloadEntryObject } from '../objects.ts';
import { waypointWish } from '../waypoint-labels.ts';
import { endpointOf, endpointShape } from './entry-endpoint.ts';

export const workloadEntryKind = defineKind({
  kind: 'WorkloadEntry',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  namespaced: true,
  shape: { spec: needed(object(endpointShape)), status: silent },
  make(raw, meta, reading): WorkloadEntryObject {
    const { spec } = raw;
    if (spec.address === undefined && spec.network === undefined) {
      reading.faultAt(['spec', 'address'], 'is missing');
    }
    // Labels may stand in both places; those of the metadata win.
    const labels = { ...spec.labels, ...meta.labels };
    const workloadName = labels['service.istio.io/workload-name'] ?? meta.name;
    return {
      kind: 'WorkloadEntry',
      ...base(meta),
      labels,
      endpoint: endpointOf(spec),
      workloadName,
      ...canonical(labels, workloadName),
      tunnel: tunnelOf(labels, meta.annotations),
      ...waypointWish({ ...meta, labels }, reading),
    };
  },
});
