// SPDX-License-Identifier: Apache-2.0
// Service: addresses, ports, who is selected, and how its traffic is spread.
import { address, warnOfItself } from '../addresses.ts';
import {
  either,
  flag,
  ignored,
  listOf,
  needed,
  object,
  oneOf,
  port,
  silent,
  silentFields,
  tableOf,
  text,
  unsupported,
  whole,
} from '../fields.ts';
import { annotatedDistribution, annotatedOnEmpty, base, defineKind, type Meta } from '../kind.ts';
import { parseDistribution } from '../names.ts';
import type { Distribution, ObjectPort, ServiceObject } from '../objects.ts';
import type { Reading } from '../reading.ts';
import { waypointWish } from '../waypoint-labels.ts';
import { appProtocolOf, checkPlaces, checkPorts, saidFirst } from './ports.ts';

/** What Kubernetes uses when a service with ClientIP affinity names no time. */
const defaultAffinitySeconds = 10_800;

const clusterAddress = either((node) => node.kind === 'scalar' && node.value === 'None', oneOf('None'), address);
const targetName = text({
  is: 'a port number or the name of a port',
  test: (name) => /^(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/i.test(name),
});

const spec = needed(
  object({
    type: oneOf('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
    clusterIP: either((node) => node.kind === 'scalar' && node.value === '', silent, clusterAddress),
    clusterIPs: listOf(clusterAddress),
    ipFamilies: listOf(oneOf('IPv4', 'IPv6')),
    ipFamilyPolicy: oneOf('SingleStack', 'PreferDualStack', 'RequireDualStack'),
    selector: tableOf(text()),
    ports: listOf(
      object({
        name: text(),
        port: needed(port),
        protocol: oneOf('TCP', 'UDP', 'SCTP'),
        appProtocol: text(),
        targetPort: either((node) => node.kind === 'scalar' && typeof node.value === 'number', port, targetName),
        nodePort: ignored('Service spec.ports.nodePort'),
      }),
    ),
    sessionAffinity: oneOf('None', 'ClientIP'),
    sessionAffinityConfig: object({ clientIP: object({ timeoutSeconds: whole(1, 86_400) }) }),
    internalTrafficPolicy: oneOf('Cluster', 'Local'),
    trafficDistribution: text(),
    publishNotReadyAddresses: flag(),
    externalIPs: listOf(address),
    externalName: ignored('Service of type ExternalName'),
    loadBalancerSourceRanges: unsupported('its load-balancer addresses are open to every client in the mesh'),
    topologyKeys: unsupported('Kubernetes has dropped it, use trafficDistribution'),
    ...silentFields('allocateLoadBalancerNodePorts', 'externalTrafficPolicy', 'healthCheckNodePort'),
    ...silentFields('loadBalancerClass', 'loadBalancerIP'),
  }),
);

const shape = {
  spec,
  status: object(
    { loadBalancer: object({ ingress: listOf(object({ ip: address, ipMode: text() }, { open: true })) }) },
    { open: true },
  ),
};

export const serviceKind = defineKind({
  kind: 'Service',
  group: '',
  versions: ['v1'],
  namespaced: true,
  shape,
  make(raw, meta, reading): ServiceObject {
    const { spec } = raw;
    const external = spec.type === 'ExternalName';
    const cluster = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP === undefined ? [] : [spec.clusterIP];
    if (cluster.length === 0 && !external) {
      reading.warnAt(
        ['spec', 'clusterIPs'],
        'is missing: the service is taken as headless, nothing can dial it by address',
      );
    }
    if ('networking.istio.io/exportTo' in meta.annotations) {
      const path = ['metadata', 'annotations', 'networking.istio.io/exportTo'];
      reading.warnAt(path, 'is not supported: Kubernetes services are visible to all namespaces');
    }
    warnOfItself(
      (spec.externalIPs ?? []).map((ip) => ({ address: ip })),
      ['spec', 'externalIPs'],
      reading,
    );
    const ports = portsOf(spec.ports ?? [], reading);
    checkPorts(ports, ['spec', 'ports'], 'port', reading);
    checkPlaces(spec.externalIPs?.length ?? 0, ports.length, ['spec', 'externalIPs'], reading);
    return {
      kind: 'Service',
      ...base(meta),
      external,
      selector: spec.selector ?? {},
      addresses: [
        ...new Set([
          ...cluster.filter((ip) => ip !== 'None'),
          ...(spec.externalIPs ?? []),
          ...balancerAddresses(raw.status?.loadBalancer?.ingress ?? [], reading),
        ]),
      ],
      ports: saidFirst(ports, meta, reading).filter((p): p is ObjectPort => p.protocol !== 'sctp'),
      affinitySeconds:
        spec.sessionAffinity === 'ClientIP'
          ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds)
          : 0,
      nodeLocal: spec.internalTrafficPolicy === 'Local',
      ...distributionOf(spec.trafficDistribution, meta, reading),
      publishNotReady: spec.publishNotReadyAddresses ?? false,
      ipFamilies: familiesOf(spec.ipFamilies ?? []),
      onEmpty: annotatedOnEmpty(meta, reading),
      ...waypointWish(meta, reading),
    };
  },
});

interface RawPort {
  readonly name: string | undefined;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | undefined;
  readonly appProtocol: string | undefined;
  readonly targetPort: number | string | undefined;
}

type AnyPort = ObjectPort | (Omit<ObjectPort, 'protocol'> & { readonly protocol: 'sctp' });

function portsOf(ports: readonly RawPort[], reading: Reading): AnyPort[] {
  return ports.map(({ name = '', port: number, protocol = 'TCP', appProtocol, targetPort = number }, i) => {
    if (protocol === 'SCTP')
      reading.warnAt(['spec', 'ports', i, 'protocol'], 'SCTP is not supported: the port is left out');
    return {
      port: number,
      targetPort: typeof targetPort === 'number' ? targetPort : 0,
      targetName: typeof targetPort === 'number' ? '' : targetPort,
      protocol: protocol === 'SCTP' ? 'sctp' : protocol === 'UDP' ? 'udp' : 'tcp',
      name,
      appProtocol: protocol === 'TCP' ? appProtocolOf(appProtocol, name) : '',
    };
  });
}

/** Addresses of a load balancer that clients here may take a short cut past; ipMode Proxy asks that they do not. */
function balancerAddresses(
  ingress: readonly { readonly ip: string | undefined; readonly ipMode: string | undefined }[],
  reading: Reading,
): string[] {
  return ingress.flatMap(({ ip, ipMode }, i) => {
    if (ip === undefined) return [];
    if (ipMode !== 'Proxy') return [ip];
    reading.warnAt(
      ['status', 'loadBalancer', 'ingress', i, 'ip'],
      'is left alone: ipMode Proxy keeps it for the balancer',
    );
    return [];
  });
}

/** spec.trafficDistribution, else the annotation. */
function distributionOf(stated: string | undefined, meta: Meta, reading: Reading): { distribution?: Distribution } {
  const known = stated === undefined ? undefined : parseDistribution(stated);
  if (known !== undefined) return { distribution: known };
  if (stated !== undefined) reading.warnAt(['spec', 'trafficDistribution'], `is not known: ${JSON.stringify(stated)}`);
  return annotatedDistribution(meta, reading);
}

function familiesOf(families: readonly ('IPv4' | 'IPv6')[]): ServiceObject['ipFamilies'] {
  if (families.length > 1) return 'dual';
  return families[0] === 'IPv4' ? 'ipv4' : families[0] === 'IPv6' ? 'ipv6' : 'automatic';
}
