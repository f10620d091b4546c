// SPDX-License-Identifier: Apache-2.0
// The objects of the world of the tables: its waypoint, its pods and their services.
import type { Node } from '../node.ts';
import { type Behaviour, namespace, ownService, pods, routeDocuments } from './table.ts';

export const clients = ['client', 'away'] as const;

export const namespaceOf = (pod: string): string => (pod === 'away' ? 'away' : namespace);

export const serviceAddress = (i: number, family: 4 | 6): string =>
  family === 4 ? `10.96.0.${i + 1}` : `fd00:96::${i + 1}`;

export function meshYaml(node: Node, behaviours: readonly Behaviour[]): string {
  const waypoint = node.pod('waypoint');
  const addresses = [waypoint.address4, waypoint.address6].map((value) => ({ type: 'IPAddress', value }));
  const gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'waypoint', namespace },
    spec: {
      gatewayClassName: 'kmesh-waypoint',
      listeners: [{ name: 'mesh', port: 15088, protocol: 'istio.io/PROXY' }],
    },
    status: { addresses },
  };
  const podObjects = [...clients, 'waypoint', ...pods].map((name) => {
    const { address4, address6 } = node.pod(name);
    const serves = (pods as readonly string[]).includes(name);
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: namespaceOf(name), labels: serves ? { app: 'echo', version: name } : {} },
      spec: { nodeName: 'n1', serviceAccountName: name, containers: [{ name: 'main' }] },
      status: {
        phase: 'Running',
        podIP: address4,
        podIPs: [{ ip: address4 }, { ip: address6 }],
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    };
  });
  const service = (name: string, i: number, selector: object, appProtocol = 'http', targetPort = 8080) => {
    const clusterIPs = [serviceAddress(i, 4), serviceAddress(i, 6)];
    return {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels: { 'istio.io/use-waypoint': 'waypoint' } },
      spec: {
        clusterIP: clusterIPs[0],
        clusterIPs,
        selector,
        ports: [
          { name: 'http', port: 80, targetPort, appProtocol },
          { name: 'http-alt', port: 8080, appProtocol: 'http' },
          { name: 'https', port: 443, targetPort: 8443 },
          { name: 'tcp', port: 9090 },
          { name: 'grpc', port: 7070 },
        ],
      },
    };
  };
  const [first, last] = [node.pod('v3').address4, node.pod('v3').address6];
  const slices = (of: { readonly name: string; readonly namespace: string }, port: number) =>
    [
      { suffix: '4', addressType: 'IPv4', address: first },
      { suffix: '6', addressType: 'IPv6', address: last },
    ].map(({ suffix, addressType, address }) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...of, name: `${of.name}-${suffix}`, labels: { 'kubernetes.io/service-name': of.name } },
      addressType,
      ports: [{ name: 'http', port }],
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
    }));
  /** Services that are only backends. */
  const backend = (metadata: { readonly name: string; readonly namespace: string }, spec: object, port = 80) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { ports: [{ name: 'http', port, targetPort: 8080 }], ...spec },
  });
  const far = { name: 'far', namespace: 'away' };
  const farToo = { name: 'far-too', namespace: 'away' };
  const farTcp = { name: 'far-tcp', namespace: 'away' };
  const byHand = { name: 'by-hand', namespace };
  const headlessByHand = { name: 'headless-by-hand', namespace };
  const none = { clusterIP: 'None' };
  const backends = [
    backend(far, { clusterIP: '10.97.0.1' }),
    ...slices(far, 8080),
    backend(farToo, { clusterIP: '10.97.0.3' }),
    ...slices(farToo, 8080),
    backend(farTcp, { clusterIP: '10.97.0.4', ports: [{ name: 'http', port: 9090, appProtocol: 'tcp' }] }),
    ...slices(farTcp, 9090),
    backend(byHand, { clusterIP: '10.97.0.2' }),
    ...slices(byHand, 8080),
    backend({ name: 'headless', namespace }, { ...none, selector: { version: 'v2' } }, 8080),
    backend(headlessByHand, none),
    ...slices(headlessByHand, 8080),
  ];
  const objects = [
    gateway,
    ...backends,
    ...podObjects,
    ...pods.map((name, i) => service(name, i, { version: name })),
    ...behaviours.map((one, i) => {
      const target = one.speaks === 'kubernetes.io/h2c' ? 7070 : 8080;
      return service(ownService(one), pods.length + i, { app: 'echo' }, one.speaks, target);
    }),
  ];
  return [...objects.map((object) => JSON.stringify(object)), ...behaviours.flatMap(routeDocuments)].join('\n---\n');
}
