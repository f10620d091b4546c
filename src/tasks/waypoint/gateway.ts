// SPDX-License-Identifier: Apache-2.0
// A waypoint as the Gateway that asks for it.
import { KmeshError } from '../../errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import {
  bindingText,
  defaultWaypointSettings,
  parseBinding,
  proxyPort,
  type WaypointBinding,
  type WaypointFor,
  type WaypointHeader,
} from '../../mesh/gateway.ts';
import { parseAddress } from '../../net/address.ts';
import * as words from './words.ts';

export interface GatewayOptions {
  readonly name: string;
  readonly for?: WaypointFor;
  readonly revision?: string;
  readonly class: string;
  /** "proxy", "kmesh/15019" */
  readonly protocol?: string;
  readonly image?: string;
  /** Where it is: who runs it knows. */
  readonly address?: readonly string[];
}

const namePattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** A waypoint's name becomes that of a Service and the value of a label. */
export function checkName(name: string): void {
  if (name === 'none') {
    throw new KmeshError('KM_USAGE', 'a waypoint cannot be called "none": as a label that stands for no waypoint');
  }
  if (namePattern.test(name)) return;
  throw new KmeshError('KM_USAGE', `"${name}" is no name of a waypoint: at most 63 of a-z, 0-9 and -, not at the ends`);
}

/** Without the flag: what a node assumes of a waypoint that says nothing. */
export function bindingOf({ protocol }: { readonly protocol?: string }): WaypointBinding {
  if (protocol === undefined) return defaultWaypointSettings.binding;
  const binding = parseBinding(protocol.toUpperCase());
  if (binding !== undefined) return binding;
  throw new KmeshError(
    'KM_USAGE',
    `--protocol must be proxy, kmesh or none, or one of them with /PORT (1 to 65535), got "${protocol}"`,
  );
}

/** The protocol of the listener of a waypoint that istiod does not run. Istio's own always listen for HBONE. */
const listenerProtocols: Readonly<Record<WaypointHeader, string>> = {
  proxy: 'istio.io/PROXY',
  kmesh: 'kmesh.net/KMESH',
  none: 'TCP',
};

function listenerOf(kind: string, { header, port }: WaypointBinding): Record<string, unknown> {
  if (kind !== words.ownClass) return { name: 'mesh', port: words.hbonePort, protocol: 'HBONE' };
  // A listener has a port, even where each connection keeps the one that was dialled.
  return { name: 'mesh', port: port === 0 ? proxyPort : port, protocol: listenerProtocols[header] };
}

/** Istio knows PROXY and NONE, and passes them on; Kmesh's header only those who read the Gateway itself know. */
const bindingAnnotation = (binding: WaypointBinding): Record<string, string> => ({
  [binding.header === 'kmesh' ? words.ownBindingAnnotation : words.inboundBindingAnnotation]: bindingText(binding),
});

const unlessEmpty = <K extends string>(key: K, entries: Readonly<Record<string, string>>) =>
  (Object.keys(entries).length === 0 ? {} : { [key]: entries }) as { [key in K]?: Readonly<Record<string, string>> };

const hostPattern = /^(?=.{1,253}$)([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)*[a-z]([-a-z0-9]*[a-z0-9])?$/;

function addressOf(value: string): { readonly type: string; readonly value: string } {
  if (parseAddress(value) !== undefined) return { type: 'IPAddress', value };
  if (hostPattern.test(value)) return { type: 'Hostname', value };
  throw new KmeshError('KM_USAGE', `--address must be an IP address or a host name, got "${value}"`);
}

export function makeGateway(options: GatewayOptions, namespace: string | undefined): KubeObject {
  const { name, revision, image } = options;
  checkName(name);
  const binding = bindingOf(options);
  const addresses = (options.address ?? []).map(addressOf);
  const said = options.protocol !== undefined || options.class === words.ownClass;
  const labels = {
    ...(options.for === undefined ? {} : { [words.waypointForLabel]: options.for }),
    ...(revision === undefined ? {} : { [words.revisionLabel]: revision }),
  };
  const annotations = {
    ...(said ? bindingAnnotation(binding) : {}),
    ...(image === undefined ? {} : { [words.proxyImageAnnotation]: image }),
  };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...unlessEmpty('labels', labels),
      ...unlessEmpty('annotations', annotations),
    },
    spec: {
      gatewayClassName: options.class,
      listeners: [listenerOf(options.class, binding)],
      ...(addresses.length > 0 && { addresses }),
    },
  };
}
