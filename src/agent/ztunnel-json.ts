// SPDX-License-Identifier: Apache-2.0
// Objects of the model as ztunnel prints them in its config_dump, so that tools made for that read ours: names, spellings, what is left out.
import type { Json } from '../admin/types.ts';
import { type GatewayAddress, type GatewayDestination, placesOf } from '../mesh/gateway.ts';
import type { AddressMatch, Match, Policy, StringMatch } from '../mesh/policy.ts';
import type { Scope, Service, ServicePort } from '../mesh/service.ts';
import type { PortMapping, Workload } from '../mesh/workload.ts';

export type JsonObject = { readonly [key: string]: Json };

const whenSet = (key: string, text: string): JsonObject => (text === '' ? {} : { [key]: text });
const whenAny = (key: string, list: readonly Json[]): JsonObject => (list.length === 0 ? {} : { [key]: list });

export function workloadJson(w: Workload): JsonObject {
  const { region, zone, subzone } = w.locality;
  return {
    workloadIps: w.addresses,
    ...(w.waypoint && { waypoint: gatewayJson(w.waypoint) }),
    ...(w.networkGateway && { networkGateway: gatewayJson(w.networkGateway) }),
    protocol: w.tunnelProtocol === 'hbone' ? 'HBONE' : 'TCP',
    networkMode: w.hostNetwork ? 'HostNetwork' : 'Standard',
    ...whenSet('uid', w.uid),
    name: w.name,
    namespace: w.namespace,
    ...whenSet('trustDomain', w.trustDomain),
    ...whenSet('serviceAccount', w.serviceAccount),
    ...whenSet('network', w.network),
    ...whenSet('workloadName', w.workloadName),
    workloadType: w.workloadType,
    ...whenSet('canonicalName', w.canonicalName),
    ...whenSet('canonicalRevision', w.canonicalRevision),
    ...whenSet('hostname', w.hostname),
    ...whenSet('node', w.node),
    ...(w.nativeTunnel && { nativeTunnel: true }),
    ...(w.applicationTunnel && { applicationTunnel: tunnelJson(w.applicationTunnel) }),
    ...whenAny('authorizationPolicies', w.authorizationPolicies),
    status: statusText[w.status],
    clusterId: w.clusterId,
    ...(region + zone + subzone === '' ? {} : { locality: { region, zone, subzone } }),
    ...whenAny('services', [...w.services.keys()]),
    capacity: w.capacity,
  };
}

/** Without endpoints. What ztunnel has no field for stands under "kmesh". */
export function serviceJson(s: Service): JsonObject {
  const { mode, scopes, healthPolicy } = s.loadBalancing;
  const ranges = s.addresses.flatMap(({ network, address, length }) =>
    length === undefined ? [] : [{ network, cidr: `${address}/${length}` }],
  );
  const plain = mode === 'standard' && scopes.length === 0 && healthPolicy === 'only-healthy';
  return {
    name: s.name,
    namespace: s.namespace,
    hostname: s.hostname,
    vips: s.addresses.flatMap(({ network, address, length }) => (length === undefined ? `${network}/${address}` : [])),
    ...whenAny('cidrVips', ranges),
    ports: portsJson(s.ports),
    endpoints: {},
    subjectAltNames: s.subjectAltNames,
    ...(s.waypoint && { waypoint: gatewayJson(s.waypoint) }),
    ...whenAny(
      'weightedWaypoints',
      s.weightedWaypoints.map(({ destination, weight }) => ({ destination: gatewayJson(destination), weight })),
    ),
    ...(plain
      ? {}
      : {
          loadBalancer: {
            routingPreferences: scopes.map((scope) => scopeText[scope]),
            mode: modeText[mode],
            healthPolicy: healthPolicy === 'allow-all' ? 'AllowAll' : 'OnlyHealthy',
          },
        }),
    ...(s.ipFamilies === 'automatic' ? {} : { ipFamilies: familyText[s.ipFamilies] }),
    canonical: s.canonical,
    visibility: s.visibility === 'namespace' ? 'Namespace' : 'Public',
    ...ownJson(s),
  };
}

/** Whether ztunnel counts the workload among the endpoints. */
export function isIncluded(workload: Workload, service: Service): boolean {
  return workload.status === 'healthy' || service.loadBalancing.healthPolicy === 'allow-all';
}

export function endpointJson({ uid, status, services }: Workload, service: string): JsonObject {
  const ports = services.get(service) ?? [];
  return { workloadUid: uid, port: portsJson(ports.map(portOf)), status: statusText[status] };
}

export function policyJson(p: Policy): JsonObject {
  return {
    name: p.name,
    namespace: p.namespace,
    scope: policyScopeText[p.scope],
    action: p.action === 'deny' ? 'Deny' : 'Allow',
    rules: p.rules.map((rule) => rule.map((clause) => clause.map(matchJson))),
    dryRun: p.dryRun,
  };
}

const statusText = { healthy: 'Healthy', unhealthy: 'Unhealthy' } as const;
const modeText = {
  ...{ standard: 'Standard', strict: 'Strict', failover: 'Failover', passthrough: 'Passthrough' },
} as const;
const familyText = { ipv4: 'IPv4', ipv6: 'IPv6', dual: 'Dual' } as const;
const policyScopeText = { global: 'Global', namespace: 'Namespace', selector: 'WorkloadSelector' } as const;
const scopeText: Readonly<Record<Scope, string>> = {
  ...{ region: 'Region', zone: 'Zone', subzone: 'Subzone', node: 'Node', cluster: 'Cluster', network: 'Network' },
};

function gatewayJson(at: GatewayAddress): JsonObject {
  const { destination: to, hboneMtlsPort } = at;
  if (to.kind === 'unusable') return { destination: null, hboneMtlsPort, kmesh: { unusable: to.reason } };
  const [destination, ...also] = placesOf(at).map(placeText);
  return { destination: destination ?? null, hboneMtlsPort, ...(also.length > 0 && { kmesh: { also } }) };
}

function placeText(to: GatewayDestination): string {
  if (to.kind === 'hostname') return `${to.namespace}/${to.hostname}`;
  return to.kind === 'address' ? `${to.network}/${to.address}` : '';
}

function tunnelJson({ protocol, port }: NonNullable<Workload['applicationTunnel']>): JsonObject {
  return { protocol: protocol === 'proxy' ? 'PROXY' : 'NONE', port: port === 0 ? null : port };
}

interface Mapped {
  readonly port: number;
  readonly targetPort: number;
  readonly protocol: ServicePort['protocol'];
}

const portOf = ({ servicePort, targetPort, protocol }: PortMapping): Mapped => ({
  ...{ port: servicePort, targetPort, protocol: protocol ?? 'any' },
});

/** Of two with one number the one that serves TCP: ztunnel knows no other. */
function portsJson(ports: readonly Mapped[]): JsonObject {
  const out: Record<string, number> = {};
  for (const { port, targetPort, protocol } of ports) {
    if (protocol !== 'udp' || out[port] === undefined) out[port] = targetPort;
  }
  return out;
}

/** Of what ztunnel does not know that which is not as a control plane would have it. */
function ownJson({ ports, balancer, locality, onEmpty }: Service): JsonObject {
  const own: JsonObject = {
    ...(ports.every(({ protocol }) => protocol === 'any')
      ? {}
      : { ports: ports.map(({ port, protocol, targetPort }) => ({ port, protocol, targetPort })) }),
    ...(balancer.policy === 'random' ? {} : { policy: balancer.policy }),
    ...(balancer.affinitySeconds === 0 ? {} : { affinitySeconds: balancer.affinitySeconds }),
    ...(locality && {
      distribute: locality.distribute.map(({ from, to }) => ({ from, to: Object.fromEntries(to) })),
      failover: locality.failover.map(({ from, to }) => ({ from, to })),
    }),
    ...(onEmpty === 'refuse' ? {} : { onEmpty }),
  };
  return Object.keys(own).length === 0 ? {} : { kmesh: own };
}

function matchJson(m: Match): JsonObject {
  return {
    ...whenAny('namespaces', m.namespaces.map(textJson)),
    ...whenAny('notNamespaces', m.notNamespaces.map(textJson)),
    ...whenAny('serviceAccounts', m.serviceAccounts.map(accountJson)),
    ...whenAny('notServiceAccounts', m.notServiceAccounts.map(accountJson)),
    ...whenAny('principals', m.principals.map(textJson)),
    ...whenAny('notPrincipals', m.notPrincipals.map(textJson)),
    ...whenAny('sourceIps', m.sourceIps.map(rangeText)),
    ...whenAny('notSourceIps', m.notSourceIps.map(rangeText)),
    ...whenAny('destinationIps', m.destinationIps.map(rangeText)),
    ...whenAny('notDestinationIps', m.notDestinationIps.map(rangeText)),
    ...whenAny('destinationPorts', m.destinationPorts),
    ...whenAny('notDestinationPorts', m.notDestinationPorts),
  };
}

function textJson(match: StringMatch): JsonObject {
  if (match.kind === 'presence') return { Presence: [] };
  return { [`${match.kind.charAt(0).toUpperCase()}${match.kind.slice(1)}`]: match.value };
}

const accountJson = ({ namespace, serviceAccount }: Match['serviceAccounts'][number]): JsonObject => ({
  ...{ namespace, serviceAccount },
});
const rangeText = ({ address, length }: AddressMatch): string => `${address}/${length}`;
