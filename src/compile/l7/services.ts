// SPDX-License-Identifier: Apache-2.0
// Services as routes name them, the ports that they can be attached to, and names of what is made for Envoy.
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

const hostOf = ({ namespace, name }: { readonly namespace: string; readonly name: string }): string =>
  `${name}.${namespace}.${clusterSuffix}`;

/** Text that names what `ref` names: "Service shop/cart". Undefined: that is no service. */
export function refKey(ref: ServiceRef): string | undefined {
  if (!isServiceRef(ref)) return undefined;
  return `${isEntryRef(ref) ? 'ServiceEntry' : 'Service'} ${ref.namespace}/${ref.name}`;
}

/** Istio's way to name a service by its host, wherever it is. */
export function isHostRef({ group, kind }: { readonly group: string; readonly kind: string }): boolean {
  return kind === 'Hostname' && group === entryGroup;
}

/** The same of a backend: "Hostname api.example.com", too. */
export function backendKey(ref: ServiceRef): string | undefined {
  return isHostRef(ref) ? `Hostname ${ref.name.toLowerCase()}` : refKey(ref);
}

/** Under which of those texts a service is found as a backend. */
export function backendKeysOf(service: Service): readonly string[] {
  return [...refKeysOf(service), `Hostname ${service.hostname.toLowerCase()}`];
}

/** Under which of those texts a service is found: the host name of a Service says so, and what has another one came from an entry. */
export function refKeysOf(service: Service): readonly string[] {
  const { namespace, name, hostname } = service;
  const suffix = `.${namespace}.${clusterSuffix}`;
  const own = hostname.endsWith(suffix) ? [`Service ${namespace}/${hostname.slice(0, -suffix.length)}`] : [];
  return hostname === hostOf({ namespace, name }) ? own : [...own, `ServiceEntry ${namespace}/${name}`];
}

/** Key in the model of the Service that a text of `refKey` names; undefined: it names an entry. */
export function serviceKeyOf(ref: string): string | undefined {
  const [, namespace = '', name = ''] = /^Service ([^/]*)\/(.*)$/.exec(ref) ?? [];
  return namespace === '' ? undefined : `${namespace}/${hostOf({ namespace, name })}`;
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

/** The service and the port that such a name names. */
export function parsePortName(name: string): { readonly service: string; readonly port: number } {
  const at = name.lastIndexOf('|');
  return { service: name.slice(0, at), port: Number(name.slice(at + 1)) };
}

/** The same request finds the same endpoint: it is chosen by hash, or was by the client. */
export function isSticky({ balancer, loadBalancing }: Service): boolean {
  const { policy, affinitySeconds, requestHash } = balancer;
  return (
    loadBalancing.mode === 'passthrough' || policy === 'source-hash' || affinitySeconds > 0 || requestHash !== undefined
  );
}

/** Name of a cluster that never is there. */
export const noCluster = 'invalid';
