// SPDX-License-Identifier: Apache-2.0
// Where this node stands, from what its Node object says, else from the workloads that run on it.
import type { Model, NodeView } from '../mesh/model.ts';
import { type Locality, noLocality } from '../mesh/workload.ts';

export interface ViewFinder {
  /** The view after a change of the model. The same object as before when nothing about it changed. */
  update(model: Model, workloads: Iterable<string>, nodeLocality: Locality | undefined): NodeView;
}

const isKnown = (l: Locality | undefined): l is Locality => l !== undefined && l.region !== '';

const sameView = (a: NodeView, b: NodeView): boolean =>
  a.network === b.network &&
  a.clusterId === b.clusterId &&
  a.locality.region === b.locality.region &&
  a.locality.zone === b.locality.zone &&
  a.locality.subzone === b.locality.subzone;

/** Follows the workloads of `node`. Of several that disagree the first by uid counts. */
export function viewFinder(node: string): ViewFinder {
  const local = new Set<string>();
  let view: NodeView = { node, network: '', clusterId: '', locality: noLocality };
  let last: Locality | undefined;
  return {
    update(model, workloads, nodeLocality) {
      let changed = nodeLocality !== last;
      last = nodeLocality;
      for (const uid of workloads) {
        const here = model.workloads.get(uid)?.node === node && node !== '';
        if (here) local.add(uid);
        if (here || local.has(uid)) changed = true;
        if (!here) local.delete(uid);
      }
      if (!changed) return view;
      const next = { node, ...surroundings(model, local, nodeLocality) };
      if (!sameView(next, view)) view = next;
      return view;
    },
  };
}

function surroundings(
  model: Model,
  local: ReadonlySet<string>,
  nodeLocality: Locality | undefined,
): Omit<NodeView, 'node'> {
  let network = '';
  let clusterId = '';
  let locality = isKnown(nodeLocality) ? nodeLocality : undefined;
  for (const uid of [...local].sort()) {
    const workload = model.workloads.get(uid);
    if (!workload) continue;
    network ||= workload.network;
    clusterId ||= workload.clusterId;
    if (!locality && isKnown(workload.locality)) locality = workload.locality;
  }
  return { network, clusterId, locality: locality ?? noLocality };
}
