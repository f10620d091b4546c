// SPDX-License-Identifier: Apache-2.0
// Policies of the model from their objects, and which of them a workload names.
import { type Policy, policyKey, refusedPolicy } from '../../../mesh/policy.ts';
import { rootNamespace, selects } from '../names.ts';
import type { AuthorizationPolicyObject, Labels, PeerAuthenticationObject } from '../objects.ts';
import { openBags } from './bags.ts';
import { openPeerBook } from './peer-authentication.ts';
import { replaceChanged } from './replace-changed.ts';

export interface PolicyBook {
  put(policy: AuthorizationPolicyObject | PeerAuthenticationObject): void;
  remove(policy: AuthorizationPolicyObject | PeerAuthenticationObject): void;
  /** Keys of the policies with selectors that hold for a workload: those of its namespace and of the root namespace. Equal lists are one. */
  namesFor(namespace: string, labels: Labels): readonly string[];
  /** What differs since this was asked last, by key (undefined: gone). */
  changes(): Map<string, Policy | undefined>;
  /** As of the last `changes`. */
  readonly policies: ReadonlyMap<string, Policy>;
}

export function openPolicyBook(): PolicyBook {
  const policies = new Map<string, Policy>();
  const objects = new Map<string, AuthorizationPolicyObject>();
  const touched = new Set<string>();
  const peers = openPeerBook();
  let peersTouched = false;
  let fromPeers = new Map<string, Policy>();
  /** "namespace/key=value" of the first pair of a selector -> objects. */
  const filed = openBags<AuthorizationPolicyObject>();
  const lists = new Map<string, readonly string[]>();

  const file = (how: 'add' | 'remove', object: AuthorizationPolicyObject) => {
    const [first] = Object.entries(object.selector ?? {});
    if (first && object.action !== 'none') filed[how](`${object.namespace}/${first[0]}=${first[1]}`, object);
  };

  const set = (key: string, next: Policy | undefined, changes: Map<string, Policy | undefined>) => {
    if (replaceChanged(policies, key, next)) changes.set(key, next);
  };

  return {
    policies,
    put(object) {
      if (object.kind === 'PeerAuthentication') {
        peers.put(object);
        peersTouched = true;
        return;
      }
      objects.set(policyKey(object), object);
      touched.add(policyKey(object));
      file('add', object);
    },
    remove(object) {
      if (object.kind === 'PeerAuthentication') {
        peers.remove(object);
        peersTouched = true;
        return;
      }
      objects.delete(policyKey(object));
      touched.add(policyKey(object));
      file('remove', object);
    },
    namesFor(namespace, labels) {
      const names: string[] = [];
      for (const from of new Set([namespace, rootNamespace])) {
        for (const key in labels) {
          for (const object of filed.get(`${from}/${key}=${labels[key]}`)) {
            if (selects(object.selector ?? {}, labels)) names.push(policyKey(object));
          }
        }
      }
      names.sort();
      names.push(...peers.namesFor(namespace, labels));
      const text = names.join(' ');
      const known = lists.get(text);
      if (known) return known;
      if (lists.size >= maxLists) lists.clear();
      lists.set(text, names);
      return names;
    },
    changes() {
      const changes = new Map<string, Policy | undefined>();
      for (const key of touched) {
        const object = objects.get(key);
        set(key, object && policyOf(object), changes);
      }
      touched.clear();
      if (peersTouched) {
        peersTouched = false;
        const now = new Map(peers.policies().map((policy) => [policyKey(policy), policy]));
        for (const key of fromPeers.keys()) if (!now.has(key)) set(key, undefined, changes);
        for (const [key, policy] of now) set(key, policy, changes);
        fromPeers = now;
      }
      return changes;
    },
  };
}

const maxLists = 10_000;

/** Undefined for one that nothing here enforces. */
function policyOf(object: AuthorizationPolicyObject): Policy | undefined {
  const { name, namespace, action, rules, written, dryRun, selector, refused, stale } = object;
  if (action === 'none') return undefined;
  const scope = selector ? 'selector' : namespace === rootNamespace ? 'global' : 'namespace';
  if (refused !== undefined) return refusedPolicy({ name, namespace, scope }, refused);
  const policy: Policy = { name, namespace, scope, action, rules, ...(written && { written }), dryRun };
  return stale === undefined ? policy : { ...policy, fault: { kind: 'stale', reason: stale } };
}
