// SPDX-License-Identifier: Apache-2.0
// Gateways and what stands around them, as tests put them into a cluster.
import type { KubeObject } from '../../src/kube/object.ts';

type Labels = Readonly<Record<string, string>>;

export const home = (name = 'shop', labels: Labels = { 'istio.io/dataplane-mode': 'ambient' }): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

export interface GatewayFields {
  readonly namespace?: string;
  readonly class?: string;
  readonly labels?: Labels;
  readonly annotations?: Labels;
  readonly generation?: number;
  readonly addresses?: readonly string[];
  readonly conditions?: readonly Readonly<Record<string, unknown>>[];
}

export const condition = (type: string, status: string, reason: string, message = '', observedGeneration?: number) => ({
  type,
  status,
  reason,
  message,
  ...(observedGeneration === undefined ? {} : { observedGeneration }),
});

export const ready = [condition('Accepted', 'True', 'Accepted'), condition('Programmed', 'True', 'Programmed')];

export const gateway = (name: string, fields: GatewayFields = {}): KubeObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: {
    name,
    namespace: fields.namespace ?? 'shop',
    ...(fields.labels ? { labels: fields.labels } : {}),
    ...(fields.annotations ? { annotations: fields.annotations } : {}),
    generation: fields.generation ?? 1,
  },
  spec: {
    gatewayClassName: fields.class ?? 'istio-waypoint',
    listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
  },
  status: {
    addresses: (fields.addresses ?? []).map((value) => ({ type: 'IPAddress', value })),
    conditions: fields.conditions ?? [],
  },
});

export const gatewayClass = (name = 'istio-waypoint', labels: Labels = {}): KubeObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'GatewayClass',
  metadata: { name, labels },
  spec: { controllerName: 'istio.io/mesh-controller' },
});
