// SPDX-License-Identifier: Apache-2.0
// A waypoint as its control plane sees it: whom it serves, and where it listens.
import type { Gateway, GatewayAddress, WaypointBinding } from '../../mesh/gateway.ts';
import { proxyPort } from '../../mesh/gateway.ts';
import type { Model } from '../../mesh/model.ts';
import type { Service } from '../../mesh/service.ts';
import type { Workload } from '../../mesh/workload.ts';

export interface WaypointScope {
  readonly namespace: string;
  readonly name: string;
  readonly className: string;
  /** Absent: nobody has written it. */
  readonly gateway?: Gateway;
  /** False where connections come without the header that says who dialled what: a stock proxy cannot tell them apart. */
  readonly isServed: boolean;
  readonly listen: { readonly address: string; readonly port: number };
  serves(service: Service): boolean;
  servesWorkload(workload: Workload): boolean;
}

/** True for the header that a stock Envoy reads: the others say nothing (NONE), or to proxies of Kmesh alone (KMESH). */
export function isReadable(binding: WaypointBinding | undefined): boolean {
  return (binding?.header ?? 'proxy') === 'proxy';
}

/** Address of all addresses, of both families. */
const everywhere = '::';

/** The waypoint "namespace/name". It need not be there: then it serves what names it by its service. */
export function waypointScope(
  model: Model,
  waypoint: { readonly namespace: string; readonly name: string },
  listen: { readonly address?: string; readonly port?: number } = {},
): WaypointScope {
  const { namespace, name } = waypoint;
  const key = `${namespace}/${name}`;
  const gateway = model.gateways.get(key);
  const host = `${name}.${namespace}.svc.cluster.local`;
  const isIt = (address: GatewayAddress | undefined): boolean => {
    if (!address) return false;
    if (address.gateway !== undefined) return address.gateway === key;
    const { destination: to } = address;
    if (to.kind === 'hostname' && to.namespace === namespace && to.hostname === host) return true;
    return (gateway?.addresses ?? []).some((own) =>
      own.kind === 'hostname' && to.kind === 'hostname'
        ? own.namespace === to.namespace && own.hostname === to.hostname
        : own.kind === 'address' && to.kind === 'address' && own.address === to.address && own.network === to.network,
    );
  };
  return {
    namespace,
    name,
    className: gateway?.className ?? '',
    ...(gateway && { gateway }),
    isServed: isReadable(gateway?.binding),
    listen: { address: listen.address ?? everywhere, port: (listen.port ?? gateway?.binding?.port) || proxyPort },
    serves: ({ waypoint: at, weightedWaypoints }) =>
      weightedWaypoints.length > 0 ? weightedWaypoints.some(({ destination }) => isIt(destination)) : isIt(at),
    servesWorkload: ({ waypoint: at, hostNetwork }) => !hostNetwork && isIt(at),
  };
}
