// SPDX-License-Identifier: Apache-2.0
// Node: where its pods stand, from the topology labels.
import { noLocality } from '../../../mesh/workload.ts';
import { silent } from '../fields.ts';
import { base, defineKind } from '../kind.ts';
import { labelledLocality } from '../names.ts';

export const nodeKind = defineKind({
  kind: 'Node',
  group: '',
  versions: ['v1'],
  namespaced: false,
  shape: { spec: silent, status: silent },
  make(_raw, meta) {
    const region = meta.labels['topology.kubernetes.io/region'] ?? '';
    const zone = meta.labels['topology.kubernetes.io/zone'] ?? '';
    const subzone = meta.labels['topology.istio.io/subzone'] ?? '';
    const topology = region === '' && zone === '' && subzone === '' ? undefined : { region, zone, subzone };
    return { kind: 'Node', ...base(meta), locality: topology ?? labelledLocality(meta.labels) ?? noLocality };
  },
});
