// SPDX-License-Identifier: Apache-2.0
// EndpointSlice: endpoints of a service that are no pods known here, and pods of services without a selector.
import { parseAddress } from '../../../net/address.ts';
import { flag, listOf, needed, object, oneOf, port, silent, silentFields, text } from '../fields.ts';
import { base, defineKind } from '../kind.ts';
import type { EndpointSliceObject, NamedPort, SliceEndpoint } from '../objects.ts';

const serviceNameLabel = 'kubernetes.io/service-name';

const shape = {
  addressType: needed(oneOf('IPv4', 'IPv6', 'FQDN')),
  ports: listOf(object({ name: text(), port, protocol: oneOf('TCP', 'UDP', 'SCTP'), appProtocol: silent })),
  endpoints: listOf(
    object({
      addresses: needed(listOf(text(), { min: 1 })),
      conditions: object({ ready: flag(), serving: flag(), terminating: flag() }),
      nodeName: text(),
      zone: text(),
      targetRef: object({ kind: text(), name: text(), namespace: text() }, { open: true }),
      ...silentFields('hints', 'hostname', 'deprecatedTopology'),
    }),
  ),
};

export const endpointSliceKind = defineKind({
  kind: 'EndpointSlice',
  group: 'discovery.k8s.io',
  versions: ['v1'],
  namespaced: true,
  shape,
  make(raw, meta, reading): EndpointSliceObject {
    const named = raw.addressType === 'FQDN';
    if (named) reading.warnAt(['addressType'], 'FQDN is not supported: the slice is ignored');
    const endpoints = (raw.endpoints ?? []).map((endpoint, i): SliceEndpoint => {
      const { conditions, targetRef } = endpoint;
      const addresses = named
        ? []
        : endpoint.addresses.map((value, j) => {
            const parsed = parseAddress(value);
            if (parsed !== undefined && parsed.includes(':') === (raw.addressType === 'IPv6')) return parsed;
            const path = ['endpoints', i, 'addresses', j];
            reading.faultAt(path, `must be an ${raw.addressType} address, not ${JSON.stringify(value)}`);
            return '';
          });
      return {
        addresses,
        // Absent means ready. What terminates is never ready, whatever still serves.
        healthy: (conditions?.ready ?? true) && !(conditions?.terminating ?? false),
        node: endpoint.nodeName ?? '',
        zone: endpoint.zone ?? '',
        pod: targetRef?.kind === 'Pod' ? `${targetRef.namespace ?? meta.namespace}/${targetRef.name ?? ''}` : '',
      };
    });
    return {
      kind: 'EndpointSlice',
      ...base(meta),
      service: named ? '' : (meta.labels[serviceNameLabel] ?? ''),
      ports: (raw.ports ?? []).flatMap(({ name = '', port: number, protocol = 'TCP' }): NamedPort[] =>
        number === undefined || protocol === 'SCTP'
          ? []
          : [{ name, port: number, protocol: protocol === 'UDP' ? 'udp' : 'tcp' }],
      ),
      endpoints,
    };
  },
});
