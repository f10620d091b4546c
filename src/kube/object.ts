// SPDX-License-Identifier: Apache-2.0
// Objects of the Kubernetes API as they are sent and read, and the kinds that are used here.

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly generation?: number;
    readonly resourceVersion?: string;
    readonly uid?: string;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export interface Kind {
  /** "v1", or "GROUP/VERSION". */
  readonly apiVersion: string;
  /** In paths. */
  readonly plural: string;
  /** In messages. */
  readonly singular: string;
  /** What brings it into a cluster; absent: every cluster has it. */
  readonly from?: string;
}

const gatewayApi = { apiVersion: 'gateway.networking.k8s.io/v1', from: 'the Gateway API' };

export const gateways: Kind = { ...gatewayApi, plural: 'gateways', singular: 'gateway' };
export const gatewayClasses: Kind = { ...gatewayApi, plural: 'gatewayclasses', singular: 'gatewayclass' };
export const namespaces: Kind = { apiVersion: 'v1', plural: 'namespaces', singular: 'namespace' };
export const services: Kind = { apiVersion: 'v1', plural: 'services', singular: 'service' };
