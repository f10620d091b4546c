// SPDX-License-Identifier: Apache-2.0
// Services as routes name them, the ports that they can be attached to, and names of what is made for Envoy.
import type { Model } from '../../mesh/model.ts';
import { type Service, type ServicePort, serviceKey } from '../../mesh/service.ts';

/** What names a service: a parent, a backend, or the target of a policy. */
export interface ServiceRef {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

const clusterSuffix = 'svc.cluster.local';
const entryGroup = 'networking.istio.io';

export function isServiceRef({ group, kind }: { readonly group: string; readonly kind: string }): boolean {
  return (kind === 'Service' && (group === '' || group === 'core')) || isEntryRef({ group, kind });
}

function isEntryRef({ group, kind }: { readonly group: string; readonly kind: string }): boolean {
  return kind === 'ServiceEntry' && group === entryGroup;
}

const hostOf = ({ namespace, name }: ServiceRef): string => `${name}.${namespace}.${clusterSuffix}`;

export interface ServiceNames {
  /** The service; of an entry with several hosts the first. */
  find(ref: ServiceRef): Service | undefined;
}

/** Entries are found by their name, so that all services are looked at once, when the first is asked for. */
export function serviceNames(model: Model): ServiceNames {
  let entries: Map<string, Service> | undefined;
  return {
    find(ref) {
      if (!isEntryRef(ref)) return model.services.get(`${ref.namespace}/${hostOf(ref)}`);
      if (!entries) {
        entries = new Map();
        for (const service of model.services.values()) {
          const key = `${service.namespace}/${service.name}`;
          if (service.hostname === hostOf({ ...ref, ...service }) || entries.has(key)) continue;
          entries.set(key, service);
        }
      }
      return entries.get(`${ref.namespace}/${ref.name}`);
    },
  };
}

/** True when `ref` names `service`. */
export function names(ref: ServiceRef, service: Service): boolean {
  if (ref.namespace !== service.namespace || ref.name !== service.name) return false;
  return isEntryRef(ref) !== (service.hostname === hostOf(ref));
}

/** How a port is spoken to; 'open': nobody says, so that routes may. */
export type Speech = 'http' | 'http2' | 'tls' | 'tcp' | 'open';

export function speechOf({ appProtocol }: ServicePort): Speech {
  switch (appProtocol) {
    case 'http':
    case 'grpc-web':
      return 'http';
    case 'http2':
    case 'grpc':
      return 'http2';
    case 'tls':
      return 'tls';
    case '':
      return 'open';
    default:
      return 'tcp';
  }
}

/** "shop/cart.shop.svc.cluster.local|80": of a port of a service, its routes and its cluster. */
export function portName(service: Service, port: number): string {
  return `${serviceKey(service)}|${port}`;
}

/** Name of a cluster that never is there. */
export const noCluster = 'invalid';
