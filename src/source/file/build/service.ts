// SPDX-License-Identifier: Apache-2.0
// From the object that owns a host name to the service of the model.
import type {
  LoadBalancing,
  LocalityDistribution,
  Scope,
  Service,
  ServiceAddress,
  ServicePort,
} from '../../../mesh/service.ts';
import type { DestinationRuleObject, Distribution, ObjectPort, RuleLocality } from '../objects.ts';
import type { Assigned } from './address-book.ts';
import type { Owner } from './owners.ts';
import type { Chosen } from './waypoints.ts';

/** What a service depends on beside its own object. */
export interface ServiceFacts {
  readonly hostname: string;
  readonly canonical: boolean;
  /** Of its namespace. */
  readonly distribution: Distribution | undefined;
  readonly rule: DestinationRuleObject | undefined;
  readonly assigned: Assigned | undefined;
  readonly waypoint: Chosen;
}

const network = '';

export function buildService(owner: Owner, facts: ServiceFacts): Service {
  const { hostname, canonical, rule, waypoint } = facts;
  const locality = rule?.locality?.enabled ? distributionOf(rule.locality) : undefined;
  return {
    name: owner.name,
    namespace: owner.namespace,
    hostname,
    addresses: addressesOf(owner, facts),
    ports: owner.ports.map(portOf),
    loadBalancing: loadBalancingOf(owner, facts),
    balancer: {
      policy: rule?.policy ?? 'random',
      ...(rule?.policy === 'random' && { stated: true }),
      ...(rule?.requestHash && { requestHash: rule.requestHash }),
      affinitySeconds: owner.kind === 'Service' ? owner.affinitySeconds : 0,
    },
    ...(locality && { locality }),
    ipFamilies: owner.kind === 'Service' ? owner.ipFamilies : 'automatic',
    canonical,
    visibility: owner.kind === 'ServiceEntry' && owner.visibility === 'namespace' ? 'namespace' : 'public',
    subjectAltNames: owner.kind === 'ServiceEntry' ? owner.subjectAltNames : [],
    ...(waypoint.waypoint && { waypoint: waypoint.waypoint }),
    weightedWaypoints: waypoint.weighted,
    ...(waypoint.unready && { waypointUnready: waypoint.unready }),
    onEmpty: owner.onEmpty,
  };
}

/** True when a host gets automatic addresses: none are given, there is something to lead to, and it is no wildcard. */
export function wantsAddress(owner: Owner, hostname: string): boolean {
  if (owner.kind !== 'ServiceEntry' || !owner.automatic || owner.resolution === 'NONE') return false;
  return owner.addresses.length === 0 && !owner.given.has(hostname) && !hostname.startsWith('*');
}

function addressesOf(owner: Owner, { hostname, assigned }: ServiceFacts): ServiceAddress[] {
  if (owner.kind === 'Service') return owner.addresses.map((address) => ({ network, address }));
  if (owner.addresses.length > 0) return owner.addresses.map((a) => ({ network, ...a }));
  if (owner.resolution === 'NONE') return [];
  const own = owner.given.get(hostname) ?? (assigned ? [assigned.v4, assigned.v6] : []);
  return own.map((address) => ({ network, address }));
}

function portOf({ port, targetPort, protocol, name, appProtocol, serverFirst }: ObjectPort): ServicePort {
  return { port, targetPort, protocol, name, appProtocol, ...(serverFirst !== undefined && { serverFirst }) };
}

const sameZone: readonly Scope[] = ['network', 'region', 'zone'];
const sameNode: readonly Scope[] = ['network', 'region', 'zone', 'subzone', 'node'];

/** A service's own word that traffic stays on the node is strict; a rule's locality settings replace what the service prefers. */
function loadBalancingOf(owner: Owner, { distribution, rule }: ServiceFacts): LoadBalancing {
  if (rule?.passthrough || (owner.kind === 'ServiceEntry' && owner.resolution === 'NONE')) {
    return { mode: 'passthrough', scopes: [], healthPolicy: 'allow-all' };
  }
  const healthPolicy = owner.kind === 'Service' && owner.publishNotReady ? 'allow-all' : 'only-healthy';
  if (owner.kind === 'Service' && owner.nodeLocal) return { mode: 'strict', scopes: ['node'], healthPolicy };
  const prefers = owner.distribution ?? distribution ?? 'any';
  const scopes = rule?.locality
    ? rule.locality.scopes
    : prefers === 'zone'
      ? sameZone
      : prefers === 'node'
        ? sameNode
        : [];
  return { mode: scopes.length > 0 ? 'failover' : 'standard', scopes, healthPolicy };
}

/** Settings that scopes cannot say; undefined when an order of scopes says all. */
function distributionOf({ distribute, failover, scopes }: RuleLocality): LocalityDistribution | undefined {
  if (scopes.length > 0) return undefined;
  return { distribute, failover };
}
