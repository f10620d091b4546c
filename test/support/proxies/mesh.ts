// SPDX-License-Identifier: Apache-2.0
// The configuration of the tests with real proxies: pods, services, Gateways, and the routes that Envoy is told of.
import { type KubeObject, namespace, pod, service } from '../kube.ts';
import type { Node } from '../node.ts';
import { address, type ProxyKind, type Role, type ServiceName } from './kind.ts';

const backends = ['v1', 'v2'] as const;
/** Pods of the proxy. */
export const ways = ['way-1', 'way-2'] as const;
export type Way = (typeof ways)[number];
export const podNames = ['client', ...ways, ...backends];

const both = (name: ServiceName) => [address(name), address(name, 6)];
const ports = (...all: readonly (readonly [port: number, target: number, protocol: string])[]) => ({
  ports: all.map(([port, targetPort, appProtocol]) => ({ name: `p${port}`, port, targetPort, appProtocol })),
});

const roles: readonly (readonly [ServiceName, Role, ReturnType<typeof ports>])[] = [
  ['shop', 'http', ports([80, 8080, 'http'])],
  ['log', 'log', ports([80, 8080, 'http'])],
  ['api', 'grpc', ports([9090, 9090, 'grpc'])],
  ['secure', 'tls', ports([443, 8443, 'tls'])],
];

const kind = (name: string, version = 'v1') => ({ apiVersion: `gateway.networking.k8s.io/${version}`, kind: name });
const route = (
  what: 'HTTPRoute' | 'GRPCRoute' | 'TLSRoute',
  name: string,
  parent: ServiceName,
  spec: object,
): KubeObject => ({
  ...kind(what, what === 'TLSRoute' ? 'v1alpha2' : 'v1'),
  metadata: { name, namespace: 'shop' },
  spec: { parentRefs: [{ group: '', kind: 'Service', name: parent }], ...spec },
});
const to = (name: ServiceName, port: number) => ({ backendRefs: [{ name, port }] });
/** Tells what came by a proxy from what did not. */
const mark = {
  filters: [
    { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x-waypoint', value: 'envoy' }] } },
  ],
};

const routes: readonly KubeObject[] = [
  route('HTTPRoute', 'shop', 'shop', {
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: '/two/' } }, { headers: [{ name: 'version', value: 'two' }] }],
        ...mark,
        ...to('v2', 80),
      },
      { ...mark, ...to('shop', 80) },
    ],
  }),
  route('GRPCRoute', 'api', 'api', { rules: [{ ...mark, ...to('api', 9090) }] }),
  route('TLSRoute', 'one', 'secure', { hostnames: ['one.example'], rules: [to('secure', 443)] }),
  route('TLSRoute', 'two', 'secure', { hostnames: ['two.example'], rules: [to('v2', 443)] }),
];

/** Everything but the proxies' pods. */
export function mesh(node: Node, { gateways }: ProxyKind): readonly KubeObject[] {
  const all = new Map(Object.values(gateways).map((gateway) => [gateway.name, gateway.port]));
  return [
    namespace('shop'),
    ...[...all].map(
      ([name, port]): KubeObject => ({
        ...kind('Gateway'),
        metadata: {
          name,
          namespace: 'shop',
          annotations: { 'ambient.istio.io/waypoint-inbound-binding': `PROXY/${port}` },
        },
        spec: {
          gatewayClassName: 'kmesh-waypoint',
          listeners: [{ name: 'mesh', port, protocol: 'istio.io/PROXY' }],
          addresses: [{ type: 'Hostname', value: 'way.shop.svc.cluster.local' }],
        },
      }),
    ),
    service('way', {
      addresses: ['10.96.1.100', 'fd96::1:100'],
      more: ports(...[...all.values()].map((port) => [port, port, 'tcp'] as const)),
    }),
    ...roles.map(([name, role, more]) =>
      service(name, {
        addresses: both(name),
        app: 'v1',
        labels: { 'istio.io/use-waypoint': gateways[role].name },
        more,
      }),
    ),
    ...backends.map((name) =>
      service(name, {
        addresses: both(name),
        more: ports([80, 8080, 'http'], [443, 8443, 'tls'], [9090, 9090, 'grpc']),
      }),
    ),
    ...['client', ...backends].map((name) => podOf(node, name)),
    ...routes,
  ];
}

const podOf = (node: Node, name: string, ready = true): KubeObject => {
  const { address4, address6 } = node.pod(name);
  return pod(name, { addresses: [address4, address6], node: 'n1', ready });
};

/** The proxies' pods, and a service that is in the kernel once this is. */
export const proxyPods = (node: Node, ready: readonly Way[], marker: string): readonly KubeObject[] => [
  ...ways.map((name) => podOf(node, name, ready.includes(name))),
  service('marker', { addresses: [marker] }),
];
