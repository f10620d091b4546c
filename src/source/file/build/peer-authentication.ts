// SPDX-License-Identifier: Apache-2.0
// PeerAuthentications -> the DENY policies that istiod makes of them, and which of those a workload names.
import { type Clause, emptyMatch, type Policy, type Rule, refusedPolicy } from '../../../mesh/policy.ts';
import { rootNamespace, selects } from '../names.ts';
import type { Labels, MtlsMode, PeerAuthenticationObject } from '../objects.ts';
import { older } from './owners.ts';

export interface PeerBook {
  put(peer: PeerAuthenticationObject): void;
  remove(peer: PeerAuthenticationObject): void;
  /** Keys of the policies that a workload names on account of these. */
  namesFor(namespace: string, labels: Labels): readonly string[];
  policies(): Policy[];
}

// Names that no object of Kubernetes can have.
const strictName = 'istio_converted_static_strict';
const convertedName = (peer: PeerAuthenticationObject) => `converted_peer_authentication_${peer.name}`;
const keyOf = (peer: PeerAuthenticationObject) => `${peer.namespace}/${convertedName(peer)}`;

const anonymous: Clause = [{ ...emptyMatch, notPrincipals: [{ kind: 'presence' }] }];
const open = (mode: MtlsMode) => mode === 'PERMISSIVE' || mode === 'DISABLE';

export function openPeerBook(): PeerBook {
  /** Namespace -> its objects, oldest first. */
  const peers = new Map<string, PeerAuthenticationObject[]>();
  const oldest = (namespace: string, fits: (peer: PeerAuthenticationObject) => boolean) =>
    peers.get(namespace)?.find((peer) => peer.refused === undefined && fits(peer));
  const general = (namespace: string) => oldest(namespace, (peer) => peer.selector === undefined);

  /** What holds where a workload says nothing itself. */
  const inherited = (namespace: string): boolean => {
    const own = namespace === rootNamespace ? undefined : general(namespace)?.mode;
    const mode = own === undefined || own === 'UNSET' ? general(rootNamespace)?.mode : own;
    return mode === 'STRICT';
  };

  const namesOf = (namespace: string, labels: Labels): readonly string[] => {
    const fallback = inherited(namespace);
    const strictKey = `${rootNamespace}/${strictName}`;
    const own =
      namespace === rootNamespace
        ? undefined
        : oldest(namespace, (peer) => peer.selector !== undefined && selects(peer.selector, labels));
    const strict = own === undefined || own.mode === 'UNSET' ? fallback : own.mode === 'STRICT';
    if (own === undefined) return strict ? [strictKey] : [];
    const ports = own.ports.map(({ mode }) => mode);
    if (!strict) return ports.includes('STRICT') ? [keyOf(own)] : [];
    // Under an inherited STRICT istiod gives way to ports that are PERMISSIVE, not to those that are DISABLE.
    const excepted = own.mode === 'UNSET' ? ports.includes('PERMISSIVE') : ports.some(open);
    return [excepted ? keyOf(own) : strictKey];
  };

  return {
    put(peer) {
      peers.set(peer.namespace, [...(peers.get(peer.namespace) ?? []), peer].sort(older));
    },
    remove(peer) {
      const left = (peers.get(peer.namespace) ?? []).filter((other) => other !== peer);
      if (left.length > 0) peers.set(peer.namespace, left);
      else peers.delete(peer.namespace);
    },
    namesFor(namespace, labels) {
      if (peers.size === 0) return [];
      const names = [...namesOf(namespace, labels)];
      for (const from of new Set([namespace, rootNamespace])) {
        for (const peer of peers.get(from) ?? []) {
          if (peer.refused !== undefined && peer.selector && selects(peer.selector, labels)) names.push(keyOf(peer));
        }
      }
      return names.sort();
    },
    policies() {
      const out: Policy[] = [];
      let any = false;
      for (const peer of [...peers.values()].flat()) {
        if (peer.refused !== undefined) {
          const general = peer.namespace === rootNamespace ? 'global' : 'namespace';
          const scope = peer.selector ? 'selector' : general;
          out.push(refusedPolicy({ name: convertedName(peer), namespace: peer.namespace, scope }, peer.refused));
          continue;
        }
        any = true;
        const made = converted(peer, inherited(peer.namespace));
        if (made) out.push(made);
      }
      if (any) out.push(deny(rootNamespace, strictName, [[anonymous]]));
      return out;
    },
  };
}

function deny(namespace: string, name: string, rules: readonly Rule[]): Policy {
  return { name, namespace, scope: 'selector', action: 'deny', rules, dryRun: false };
}

/**
 * A workload's own modes by port, together with what it inherits: any DENY denies, so the exceptions must stand in the same rule as what they
 * are exceptions of. Undefined when the static policy, or none, says the same.
 */
function converted(peer: PeerAuthenticationObject, inherits: boolean): Policy | undefined {
  if (peer.namespace === rootNamespace || peer.selector === undefined) return undefined;
  const strict = peer.mode === 'UNSET' ? inherits : peer.mode === 'STRICT';
  const rules: Rule[] = [];
  const clauses: Clause[] = [];
  for (const { port, mode } of peer.ports) {
    if (mode === 'STRICT' && !strict) {
      rules.push([[{ ...emptyMatch, notPrincipals: [{ kind: 'presence' }], destinationPorts: [port] }]]);
    } else if (open(mode) && strict) clauses.push([{ ...emptyMatch, notDestinationPorts: [port] }]);
  }
  if (clauses.length > 0) {
    rules.push([...(peer.mode === 'STRICT' ? [anonymous] : []), ...clauses, ...(inherits ? [anonymous] : [])]);
  }
  return rules.length > 0 ? deny(peer.namespace, convertedName(peer), rules) : undefined;
}
