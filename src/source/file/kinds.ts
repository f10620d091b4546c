// SPDX-License-Identifier: Apache-2.0
// The kinds that are read; everything else is listed as ignored.
import { nearestName } from '../nearest.ts';
import type { Kind } from './kind.ts';
import { authorizationPolicyKind } from './kinds/authorization-policy.ts';
import { destinationRuleKind } from './kinds/destination-rule.ts';
import { endpointSliceKind } from './kinds/endpoint-slice.ts';
import { gatewayClassKind, gatewayKind } from './kinds/gateway.ts';
import { grpcRouteKind } from './kinds/grpc-route.ts';
import { httpRouteKind } from './kinds/http-route.ts';
import { namespaceKind } from './kinds/namespace.ts';
import { nodeKind } from './kinds/node.ts';
import { peerAuthenticationKind } from './kinds/peer-authentication.ts';
import { podKind } from './kinds/pod.ts';
import { serviceKind } from './kinds/service.ts';
import { serviceEntryKind } from './kinds/service-entry.ts';
import { referenceGrantKind, tcpRouteKind, tlsRouteKind } from './kinds/stream-route.ts';
import { workloadEntryKind } from './kinds/workload-entry.ts';

export const kinds: readonly Kind[] = [
  namespaceKind,
  nodeKind,
  podKind,
  serviceKind,
  endpointSliceKind,
  serviceEntryKind,
  workloadEntryKind,
  destinationRuleKind,
  authorizationPolicyKind,
  peerAuthenticationKind,
  gatewayKind,
  gatewayClassKind,
  httpRouteKind,
  grpcRouteKind,
  tlsRouteKind,
  tcpRouteKind,
  referenceGrantKind,
];

/** In their own right, though their names are near those of others. */
const others: ReadonlySet<string> = new Set(['UDPRoute']);

/** What may have been meant by a kind that is not read, of a group of which others are; undefined: nothing is near. */
export function nearestKind(apiVersion: string, kind: string): string | undefined {
  const slash = apiVersion.indexOf('/');
  const group = slash === -1 ? '' : apiVersion.slice(0, slash);
  if (others.has(kind)) return undefined;
  return nearestName(
    kind,
    kinds.flatMap((known) => (known.group === group ? [known.kind] : [])),
  );
}

/** The reader of "group/version" and kind; 'version' when the kind is known but not in that version. */
export function kindOf(apiVersion: string, kind: string): Kind | 'version' | undefined {
  const slash = apiVersion.indexOf('/');
  const group = slash === -1 ? '' : apiVersion.slice(0, slash);
  const version = apiVersion.slice(slash + 1);
  for (const known of kinds) {
    if (known.kind !== kind || known.group !== group) continue;
    return known.versions.includes(version) ? known : 'version';
  }
  return undefined;
}
