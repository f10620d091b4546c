// SPDX-License-Identifier: Apache-2.0
// Where this node stands, as the workloads that run on it say.
import type { WaypointSettings } from '../mesh/gateway.ts';
import type { Change, NodeView } from '../mesh/model.ts';
import type { Steps } from '../mesh/steps.ts';
import { type Locality, noLocality, type Workload } from '../mesh/workload.ts';

export interface ViewFinder {
  readonly view: NodeView;
  /** Workloads of this node, by uid. */
  readonly local: ReadonlyMap<string, Workload>;
  /** Follows changes; true when the view is another one now. One list after the other. */
  following(changes: readonly Change[]): Steps<boolean>;
}

/** Changes between two pauses. */
const changesAStep = 128;

const isKnown = (l: Locality): boolean => l.region !== '';

const sameView = (a: NodeView, b: NodeView): boolean =>
  a.network === b.network &&
  a.clusterId === b.clusterId &&
  a.locality.region === b.locality.region &&
  a.locality.zone === b.locality.zone &&
  a.locality.subzone === b.locality.subzone;

/** What is known without any workload. */
export interface GivenView {
  readonly network?: string | undefined;
  readonly clusterId?: string | undefined;
  readonly waypoints?: WaypointSettings | undefined;
}

/** A node without workloads, which has no locality. What is given counts; of several workloads that disagree the first by uid. */
export function viewFinder(node: string, given: GivenView = {}): ViewFinder {
  const local = new Map<string, Workload>();
  const { waypoints } = given;
  const fixed = { node, ...(waypoints && { waypoints }) };
  let view: NodeView = { ...fixed, ...surroundings(local, given) };
  function* following(changes: readonly Change[]): Steps<boolean> {
    let moved = false;
    let seen = 0;
    for (const change of changes) {
      if (change.kind === 'put-workload' && change.workload.node === node && node !== '') {
        local.set(change.workload.uid, change.workload);
        moved = true;
      } else if (change.kind === 'put-workload') moved = local.delete(change.workload.uid) || moved;
      else if (change.kind === 'remove-workload') moved = local.delete(change.uid) || moved;
      if (++seen % changesAStep === 0) yield;
    }
    if (!moved) return false;
    const next = { ...fixed, ...surroundings(local, given) };
    if (sameView(next, view)) return false;
    view = next;
    return true;
  }

  return {
    get view() {
      return view;
    },
    local,
    following,
  };
}

function surroundings(local: ReadonlyMap<string, Workload>, given: GivenView): Omit<NodeView, 'node'> {
  let network = given.network ?? '';
  let clusterId = given.clusterId ?? '';
  let locality: Locality | undefined;
  for (const uid of [...local.keys()].sort()) {
    const workload = local.get(uid) as Workload;
    network ||= workload.network;
    clusterId ||= workload.clusterId;
    if (!locality && isKnown(workload.locality)) locality = workload.locality;
  }
  return { network, clusterId, locality: locality ?? noLocality };
}
