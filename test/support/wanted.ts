// SPDX-License-Identifier: Apache-2.0
// Short ways to say what should be in the kernel.
import type { Protocol } from '../../src/abi/structs.ts';
import type {
  WantedBackend,
  WantedClient,
  WantedEndpoint,
  WantedFrontend,
  WantedPort,
  WantedVia,
} from '../../src/compile/wanted.ts';
import type { Pod } from '../../src/demo/lab.ts';
import type { BalancerPolicy } from '../../src/mesh/service.ts';

/** A backend and the addresses that lead to it. */
export interface ServiceSpec {
  readonly name: string;
  /** "10.96.0.1:80", "[fd96::1]:80", "10.97.0.0/24:80" */
  readonly at: readonly string[];
  readonly protocol?: Protocol;
  readonly policy?: BalancerPolicy;
  readonly affinitySeconds?: number;
  readonly passthrough?: boolean;
  readonly emptyDirect?: boolean;
  readonly via?: WantedVia;
  readonly endpoints: readonly WantedEndpoint[];
  /** Namespaces of the clients that see it at these addresses ('': those not named elsewhere); absent: all. */
  readonly visibleTo?: readonly string[];
}

export const uidOf = (pod: string): string => `Kubernetes//Pod/shop/${pod}`;

/** An endpoint at a pod's address of that family. */
export function endpoint(pod: Pod, port: number, weight = 1, family: 4 | 6 = 4): WantedEndpoint {
  return { workload: uidOf(pod.name), address: family === 4 ? pod.address4 : pod.address6, port, weight };
}

export function backendOf(spec: ServiceSpec): WantedBackend {
  return {
    name: spec.name,
    service: `shop/${spec.name}`,
    policy: spec.policy ?? 'random',
    affinitySeconds: spec.affinitySeconds ?? 0,
    passthrough: spec.passthrough ?? false,
    emptyDirect: spec.emptyDirect ?? false,
    ...(spec.via && { via: spec.via }),
    endpoints: spec.endpoints,
  };
}

const AT = /^\[?([^\]/]+)\]?(?:\/(\d+))?:(\d+)$/;

function frontendAt(at: string, spec: ServiceSpec, before: WantedFrontend | undefined): WantedFrontend {
  const match = AT.exec(at);
  if (!match) throw new Error(`no address and port: ${at}`);
  const [, address = '', length, port] = match;
  const protocol = spec.protocol ?? 'tcp';
  const seen = spec.visibleTo?.map((namespace) => [namespace, spec.name] as const);
  const others = typeof before?.backend === 'object' ? before.backend : [];
  return {
    key: `${protocol}/${at}`,
    protocol,
    address,
    ...(length === undefined ? {} : { length: Number(length) }),
    port: Number(port),
    backend: seen ? new Map([...others, ...seen]) : spec.name,
  };
}

/** All of it as wanted frontends; several specs may share an address when each is visible to others. */
export function frontendsOf(specs: readonly ServiceSpec[]): Map<string, WantedFrontend> {
  const out = new Map<string, WantedFrontend>();
  for (const spec of specs) {
    for (const at of spec.at) {
      const frontend = frontendAt(at, spec, out.get(`${spec.protocol ?? 'tcp'}/${at}`));
      out.set(frontend.key, frontend);
    }
  }
  return out;
}

export function clientOf(pod: Pod, namespace: string): WantedClient {
  const identity = `spiffe://cluster.local/ns/${namespace}/sa/${pod.name}`;
  return { workload: uidOf(pod.name), namespace, address4: pod.address4, address6: pod.address6, identity };
}

/** "10.0.0.2:15088" as a port where a waypoint reads headers. */
export function portOf(key: string, node = false): WantedPort {
  const [, address = '', , port] = AT.exec(key) ?? [];
  return { key, address, port: Number(port), node };
}
