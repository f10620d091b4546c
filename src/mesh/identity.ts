// SPDX-License-Identifier: Apache-2.0
// Who a workload is to policies, and which workload an address belongs to.
import type { Workload } from './workload.ts';

export interface Identity {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** What an empty field stands for on the wire. */
const defaultTrustDomain = 'cluster.local';
const defaultServiceAccount = 'default';

export function identityOf(workload: Workload): Identity {
  return {
    trustDomain: workload.trustDomain || defaultTrustDomain,
    namespace: workload.namespace,
    serviceAccount: workload.serviceAccount || defaultServiceAccount,
  };
}

/**
 * Whether a trust domain or service account can be one. With a slash an identity could read as, or end like, somebody else's, whose policies may
 * name it by its end; and headers have room for so much.
 */
export const isIdentityPart = (text: string, most = 253): boolean => text.length <= most && /^[!-.0-~]*$/.test(text);

/** Namespaces are labels. */
export const isIdentityNamespace = (text: string): boolean => isIdentityPart(text, 63);

/** The SPIFFE identity without "spiffe://": "cluster.local/ns/shop/sa/cart". Different identities have different ones. */
export function principalOf({ trustDomain, namespace, serviceAccount }: Identity): string {
  return `${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
}

/** The identity whose principal this is; undefined: it is none. */
export function identityFrom(principal: string): Identity | undefined {
  const [, trustDomain, namespace, serviceAccount] = /^(.*)\/ns\/([^/]*)\/sa\/([^/]*)$/.exec(principal) ?? [];
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined) return undefined;
  return { trustDomain, namespace, serviceAccount };
}

/** Of several workloads with one address a pod owns it before others, and one that takes tunnels before one that does not. */
function rank(workload: Workload): number {
  return (workload.uid.includes('//Pod/') ? 2 : 0) + (workload.tunnelProtocol === 'hbone' ? 1 : 0);
}

/** The one of `workloads` (those that have an address) that owns it, in `network` when that is given; undefined: nobody does. */
export function ownerOf(workloads: Iterable<Workload>, network?: string): Workload | undefined {
  let owner: Workload | undefined;
  for (const workload of workloads) {
    if (workload.hostNetwork || (network !== undefined && workload.network !== network)) continue;
    const by = owner === undefined ? 1 : rank(workload) - rank(owner);
    if (by > 0 || (by === 0 && owner !== undefined && workload.uid < owner.uid)) owner = workload;
  }
  return owner;
}
