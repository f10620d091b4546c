// SPDX-License-Identifier: Apache-2.0
// Gateway and GatewayClass: only what makes a waypoint of them counts.
import { parseBinding, type WaypointBinding, type WaypointFor } from '../../../mesh/gateway.ts';
import { parseAddress } from '../../../net/address.ts';
import { listOf, needed, object, oneOf, port, silent, silentFields, tableOf, text } from '../fields.ts';
import { base, defineKind, type Meta } from '../kind.ts';
import { isHost, wholeHost } from '../names.ts';
import type { AllowedFrom, GatewayClassObject, GatewayObject } from '../objects.ts';
import type { Reading } from '../reading.ts';

const group = 'gateway.networking.k8s.io';
const versions = ['v1', 'v1beta1'];

const waypointForLabel = 'istio.io/waypoint-for';
/** Kmesh's own says what Istio has no word for, so it is asked first. */
const bindingNames = ['kmesh.net/waypoint-binding', 'ambient.istio.io/waypoint-inbound-binding'];

const address = object({ type: text(), value: text() }, { open: true });

const selector = object({
  matchLabels: tableOf(text()),
  matchExpressions: listOf(
    object({
      key: needed(text()),
      operator: needed(oneOf('In', 'NotIn', 'Exists', 'DoesNotExist')),
      values: listOf(text()),
    }),
  ),
});

const spec = needed(
  object({
    gatewayClassName: needed(text()),
    addresses: listOf(address),
    listeners: listOf(
      object(
        {
          name: text(),
          port,
          allowedRoutes: object(
            { namespaces: object({ from: oneOf('All', 'Same', 'Selector', 'None'), selector }) },
            { open: true },
          ),
        },
        { open: true },
      ),
    ),
    ...silentFields('infrastructure', 'backendTLS', 'tls', 'allowedListeners', 'defaultScope'),
  }),
);

export const gatewayKind = defineKind({
  kind: 'Gateway',
  group,
  versions,
  namespaced: true,
  shape: { spec, status: object({ addresses: listOf(address) }, { open: true }) },
  make(raw, meta, reading): GatewayObject {
    const { spec, status } = raw;
    const given = status?.addresses?.length ? status.addresses : (spec.addresses ?? []);
    const path = status?.addresses?.length ? 'status' : 'spec';
    const allowed: AllowedFrom[] = (spec.listeners ?? []).map(({ allowedRoutes }): AllowedFrom => {
      const from = allowedRoutes?.namespaces?.from ?? 'Same';
      if (from !== 'Selector') return { from };
      const { matchLabels = {}, matchExpressions = [] } = allowedRoutes?.namespaces?.selector ?? {};
      return {
        from,
        labels: matchLabels,
        expressions: matchExpressions.map((e) => ({ ...e, values: e.values ?? [] })),
      };
    });
    return {
      kind: 'Gateway',
      ...base(meta),
      className: spec.gatewayClassName,
      ...traits(meta, reading),
      addresses: given.flatMap(({ type, value }, i) => addressOf(type, value, [path, 'addresses', i], reading)),
      allowed,
    };
  },
});

export const gatewayClassKind = defineKind({
  kind: 'GatewayClass',
  group,
  versions,
  namespaced: false,
  shape: { spec: silent, status: silent },
  make: (_raw, meta, reading): GatewayClassObject => ({
    kind: 'GatewayClass',
    ...base(meta),
    ...traits(meta, reading),
  }),
});

/** What both say of waypoints. */
function traits(meta: Meta, reading: Reading): { waypointFor?: WaypointFor; binding?: WaypointBinding } {
  const takes = meta.labels[waypointForLabel];
  const binding = bindingIn(meta, reading);
  if (takes !== undefined && !isWaypointFor(takes)) {
    const path = ['metadata', 'labels', waypointForLabel];
    reading.faultAt(path, `must be one of service, workload, all, none, not ${JSON.stringify(takes)}`);
  }
  return {
    ...(takes !== undefined && isWaypointFor(takes) && { waypointFor: takes }),
    ...(binding && { binding }),
  };
}

const isWaypointFor = (value: string): value is WaypointFor => ['service', 'workload', 'all', 'none'].includes(value);

function bindingIn(meta: Meta, reading: Reading): WaypointBinding | undefined {
  for (const name of bindingNames) {
    for (const [place, held] of [
      ['annotations', meta.annotations],
      ['labels', meta.labels],
    ] as const) {
      const value = held[name];
      if (value === undefined) continue;
      const binding = parseBinding(value);
      if (binding && (binding.header !== 'kmesh' || name === bindingNames[0])) return binding;
      const forms = name === bindingNames[0] ? 'PROXY, KMESH or NONE' : 'PROXY or NONE';
      reading.faultAt(
        ['metadata', place, name],
        `must be ${forms}, with /PORT or without, not ${JSON.stringify(value)}`,
      );
    }
  }
  return undefined;
}

function addressOf(
  type: string | undefined,
  value: string | undefined,
  path: readonly (string | number)[],
  reading: Reading,
): GatewayObject['addresses'] {
  if (value === undefined) return [];
  const parsed = parseAddress(value);
  if (type === 'Hostname' || (type === undefined && parsed === undefined)) {
    if (isHost(value)) return [{ hostname: wholeHost(value) }];
    reading.faultAt([...path, 'value'], `must be a host name, not ${JSON.stringify(value)}`);
    return [];
  }
  if (type === undefined || type === 'IPAddress') {
    if (parsed !== undefined) return [{ address: parsed }];
    reading.faultAt([...path, 'value'], `must be an address, not ${JSON.stringify(value)}`);
    return [];
  }
  reading.warnAt([...path, 'type'], `is not known: ${JSON.stringify(type)}`);
  return [];
}
