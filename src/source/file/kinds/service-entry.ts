// SPDX-License-Identifier: Apache-2.0
// ServiceEntry: a service by its hosts, with addresses given or made, and endpoints listed, selected or resolved by name.
import { address, addressOrRange, warnOfItself } from '../addresses.ts';
import { listOf, needed, object, oneOf, port, tableOf, text } from '../fields.ts';
import { annotatedDistribution, annotatedOnEmpty, base, defineKind } from '../kind.ts';
import { canonical, isHostPattern } from '../names.ts';
import type { AddressOrRange, EntryEndpoint, ServiceEntryObject } from '../objects.ts';
import type { Reading } from '../reading.ts';
import { waypointWish } from '../waypoint-labels.ts';
import { endpointOf, endpointShape } from './entry-endpoint.ts';
import { appProtocolOf, checkPlaces, checkPorts, saidFirst } from './ports.ts';

const protocols = ['TCP', 'UDP', 'HTTP', 'HTTP2', 'HTTPS', 'GRPC', 'GRPC-WEB', 'TLS', 'MONGO'] as const;

const shape = {
  spec: needed(
    object({
      hosts: needed(listOf(text({ is: 'a host name, or one that begins with "*."', test: isHostPattern }), { min: 1 })),
      addresses: listOf(addressOrRange),
      ports: needed(
        listOf(
          object({
            number: needed(port),
            name: text(),
            protocol: text({
              is: `one of ${protocols.join(', ')}`,
              test: (value) => protocols.includes(value.toUpperCase() as (typeof protocols)[number]),
            }),
            targetPort: port,
          }),
          { min: 1 },
        ),
      ),
      location: oneOf('MESH_EXTERNAL', 'MESH_INTERNAL'),
      resolution: oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN'),
      endpoints: listOf(object(endpointShape)),
      workloadSelector: object({ labels: needed(tableOf(text())) }),
      exportTo: listOf(text()),
      subjectAltNames: listOf(text()),
    }),
  ),
  status: object({ addresses: listOf(object({ value: address, host: text() }, { open: true })) }, { open: true }),
};

export const serviceEntryKind = defineKind({
  kind: 'ServiceEntry',
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  namespaced: true,
  shape,
  make(raw, meta, reading): ServiceEntryObject {
    const { spec } = raw;
    const resolution = spec.resolution ?? 'NONE';
    const ports = spec.ports.map(({ number, name = '', protocol = 'TCP', targetPort = number }) => ({
      port: number,
      targetPort,
      targetName: '',
      protocol: protocol.toUpperCase() === 'UDP' ? ('udp' as const) : ('tcp' as const),
      name,
      appProtocol: appProtocolOf(protocol, name),
    }));
    checkPorts(ports, ['spec', 'ports'], 'number', reading);
    checkPlaces(spec.addresses?.length ?? 0, ports.length, ['spec', 'addresses'], reading);
    const endpoints = (spec.endpoints ?? []).map((raw, i): EntryEndpoint => {
      const own = { ...meta, labels: raw.labels ?? {}, annotations: {} };
      const { waypoint } = waypointWish(own, reading, meta.namespace, ['spec', 'endpoints', i, 'labels']);
      return { ...endpointOf(raw), ...(waypoint && { waypoint }) };
    });
    const selector = spec.workloadSelector?.labels;
    checkResolution(resolution, { hosts: spec.hosts, addresses: spec.addresses ?? [], endpoints, selector }, reading);
    warnOfItself(spec.addresses ?? [], ['spec', 'addresses'], reading);
    const given = new Map<string, string[]>();
    for (const { value, host } of raw.status?.addresses ?? []) {
      if (value === undefined || host === undefined) continue;
      given.set(host, [...(given.get(host) ?? []), value]);
    }
    return {
      kind: 'ServiceEntry',
      ...base(meta),
      hosts: [...new Set(spec.hosts.map((host) => host.toLowerCase()))],
      addresses: spec.addresses ?? [],
      ports: saidFirst(ports, meta, reading),
      resolution,
      endpoints,
      ...(selector && { selector }),
      subjectAltNames: spec.subjectAltNames ?? [],
      visibility: visibilityOf(spec.exportTo ?? [], meta.namespace, reading),
      ...annotatedDistribution(meta, reading),
      labels: meta.labels,
      automatic: meta.labels['networking.istio.io/enable-autoallocate-ip'] !== 'false',
      given,
      ...canonical(meta.labels, meta.name),
      onEmpty: annotatedOnEmpty(meta, reading),
      ...waypointWish(meta, reading),
    };
  },
});

interface Parts {
  readonly hosts: readonly string[];
  readonly addresses: readonly AddressOrRange[];
  readonly endpoints: readonly EntryEndpoint[];
  readonly selector: Readonly<Record<string, string>> | undefined;
}

/** What goes with which resolution, by Istio's own checks. */
function checkResolution(resolution: ServiceEntryObject['resolution'], parts: Parts, reading: Reading): void {
  const { hosts, addresses, endpoints, selector } = parts;
  if (selector !== undefined && endpoints.length > 0) {
    reading.faultAt(['spec', 'workloadSelector'], 'cannot stand beside endpoints');
  }
  if (selector !== undefined && Object.keys(selector).length === 0) {
    reading.warnAt(['spec', 'workloadSelector', 'labels'], 'is empty and selects nothing');
  }
  const seen = new Map<string, number>();
  endpoints.forEach((endpoint, i) => {
    const path = ['spec', 'endpoints', i, 'address'];
    const target = endpoint.address || endpoint.hostname;
    if (target === '') reading.faultAt(path, 'is missing');
    else if (resolution === 'STATIC' && endpoint.hostname !== '') {
      reading.faultAt(path, `must be an address with resolution STATIC, not ${JSON.stringify(target)}`);
    }
    const before = seen.get(target);
    if (before !== undefined) reading.warnAt(path, `stands in [${before}] already; this endpoint is left out`);
    else seen.set(target, i);
  });
  if (resolution === 'NONE' && endpoints.length > 0) {
    reading.faultAt(
      ['spec', 'endpoints'],
      'cannot stand with resolution NONE, which leads to the address that was dialled',
    );
  }
  if (resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN') {
    hosts.forEach((host, i) => {
      if (!host.startsWith('*') || endpoints.length > 0 || selector !== undefined) return;
      reading.faultAt(['spec', 'hosts', i], `cannot be a wildcard with resolution ${resolution} and no endpoints`);
    });
    addresses.forEach(({ length }, i) => {
      if (length === undefined) return;
      reading.faultAt(['spec', 'addresses', i], `cannot be a range with resolution ${resolution}`);
    });
  }
}

/** "." is the namespace's own, "~" nobody, "*" or nothing everybody; other lists of namespaces cannot be told apart here. */
function visibilityOf(
  exportTo: readonly string[],
  namespace: string,
  reading: Reading,
): ServiceEntryObject['visibility'] {
  if (exportTo.length === 0 || exportTo.includes('*')) return 'public';
  if (exportTo.every((to) => to === '~')) return 'none';
  if (exportTo.every((to) => to === '.' || to === namespace)) return 'namespace';
  reading.warnAt(['spec', 'exportTo'], 'other namespaces by name are not supported: the entry is visible to all');
  return 'public';
}
