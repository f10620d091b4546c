// SPDX-License-Identifier: Apache-2.0
// What istiod says it serves: messages of istio.workload and istio.security as proto3 JSON (defaults left out, bytes as base64).

export interface Gateway {
  readonly hostname?: { readonly namespace: string; readonly hostname: string };
  readonly address?: { readonly network?: string; readonly address: string };
  readonly hboneMtlsPort?: number;
}

export interface ServedService {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly addresses?: readonly { readonly network?: string; readonly address: string; readonly length?: number }[];
  readonly ports?: readonly { readonly servicePort: number; readonly targetPort?: number }[];
  readonly loadBalancing?: {
    readonly routingPreference?: readonly string[];
    readonly mode?: string;
    readonly healthPolicy?: string;
  };
  readonly ipFamilies?: string;
  readonly canonical?: boolean;
  readonly visibility?: string;
  readonly waypoint?: Gateway;
}

export interface ServedWorkload {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly addresses?: readonly string[];
  readonly hostname?: string;
  readonly network?: string;
  readonly node?: string;
  readonly clusterId?: string;
  readonly status?: string;
  readonly locality?: { readonly region?: string; readonly zone?: string; readonly subzone?: string };
  readonly services?: Readonly<
    Record<
      string,
      { readonly ports?: readonly { readonly servicePort: number; readonly targetPort?: number }[] } | undefined
    >
  >;
  readonly networkMode?: string;
  readonly tunnelProtocol?: string;
  readonly waypoint?: Gateway;
  readonly networkGateway?: Gateway;
  readonly capacity?: number;
  readonly authorizationPolicies?: readonly string[];
}

export interface ServedAddress {
  readonly name: string;
  readonly version: string;
  readonly resource: { readonly workload?: ServedWorkload; readonly service?: ServedService };
}

export interface ServedPolicy {
  readonly name: string;
  readonly resource: {
    readonly name: string;
    readonly namespace: string;
    readonly scope?: string;
    readonly action?: string;
  };
}

export interface Served {
  readonly addresses: readonly ServedAddress[];
  readonly policies: readonly ServedPolicy[];
}

export const servicesOf = ({ addresses }: Served): readonly ServedService[] =>
  addresses.flatMap(({ resource }) => resource.service ?? []);

export const workloadsOf = ({ addresses }: Served): readonly ServedWorkload[] =>
  addresses.flatMap(({ resource }) => resource.workload ?? []);
