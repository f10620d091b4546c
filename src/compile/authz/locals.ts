// SPDX-License-Identifier: Apache-2.0
// The workloads of this node, and which of them is in which judged pod.
import { ownerOf } from '../../mesh/identity.ts';
import type { NodeView } from '../../mesh/model.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Workload } from '../../mesh/workload.ts';
import type { Address } from '../../net/address.ts';
import { type Bags, type BagsEditor, editBags, inBag, noBags } from './bags.ts';
import type { EnforcedPod, Enforcement } from './enforcement.ts';

export interface Locals {
  /** "namespace/name" -> uids. */
  readonly names: Bags;
  /** Address -> uids. */
  readonly addresses: Bags;
}

export const noLocals: Locals = { names: noBags, addresses: noBags };

export interface LocalsEditor {
  replace(was: Workload | undefined, is: Workload | undefined): void;
  /** True when some workload of this node was or is among those that were replaced. */
  readonly changed: boolean;
  close(): Steps<Locals>;
}

export function editLocals(before: Locals, { node }: NodeView): LocalsEditor {
  const names = editBags(before.names);
  const addresses = editBags(before.addresses);
  let changed = false;
  // One that shares the node's addresses cannot be judged apart from it. A pod that moved has another address here.
  const isLocal = (workload: Workload | undefined): workload is Workload =>
    workload !== undefined && node !== '' && workload.node === node && !workload.hostNetwork;
  return {
    get changed() {
      return changed;
    },
    replace(was, is) {
      if (isLocal(was)) {
        changed = true;
        names.remove(`${was.namespace}/${was.name}`, was.uid);
        for (const address of was.addresses) addresses.remove(address, was.uid);
      }
      if (isLocal(is)) {
        changed = true;
        names.add(`${is.namespace}/${is.name}`, is.uid);
        for (const address of is.addresses) addresses.add(address, is.uid);
      }
    },
    close: () => closing(before, changed ? { names, addresses } : undefined),
  };
}

function* closing(
  before: Locals,
  changed: { readonly names: BagsEditor; readonly addresses: BagsEditor } | undefined,
): Steps<Locals> {
  return changed ? { names: yield* changed.names.close(), addresses: yield* changed.addresses.close() } : before;
}

/** A judged pod, and the workload that it is; undefined while that is not known. */
export interface ResolvedPod {
  readonly pod: EnforcedPod;
  readonly workload: Workload | undefined;
}

/** Which workload each pod is, and which pod has which address. */
export function resolvePods(
  { pods }: Enforcement,
  { names, addresses }: Locals,
  workloads: ReadonlyMap<string, Workload>,
): { readonly resolved: readonly ResolvedPod[]; readonly at: ReadonlyMap<Address, ResolvedPod> } {
  const ownerIn = (uids: readonly string[]) => ownerOf(uids.flatMap((uid) => workloads.get(uid) ?? []));
  const resolved: ResolvedPod[] = [];
  const claims = new Map<Address, ResolvedPod[]>();
  for (const pod of pods) {
    const workload =
      pod.workload !== ''
        ? ownerIn(inBag(names, pod.workload))
        : ownerIn(pod.addresses.flatMap((address) => inBag(addresses, address)));
    const found = { pod, workload };
    resolved.push(found);
    for (const address of workload?.addresses ?? pod.addresses) {
      const others = claims.get(address);
      if (others) others.push(found);
      else claims.set(address, [found]);
    }
  }
  const at = new Map<Address, ResolvedPod>();
  for (const [address, [first, ...others]] of claims) at.set(address, others.reduce(preferred, first as ResolvedPod));
  return { resolved, at };
}

/** Of two pods with one address: the one whose workload owns it, else the first. */
function preferred(a: ResolvedPod, b: ResolvedPod): ResolvedPod {
  if (!b.workload) return a;
  if (!a.workload) return b;
  return ownerOf([a.workload, b.workload]) === b.workload ? b : a;
}
