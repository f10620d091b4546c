// SPDX-License-Identifier: Apache-2.0
// A few desired entries, said shortly.
import type { Protocol } from '../../src/abi/structs.ts';
import type {
  Wanted,
  WantedBackend,
  WantedClient,
  WantedEndpoint,
  WantedFrontend,
  WantedPort,
} from '../../src/compile/wanted.ts';

/** Endpoint number `n` (from 1) of the world. */
export function endpoint(n: number, weight = 1): WantedEndpoint {
  return { workload: `pod-${n}`, address: `172.16.${(n >>> 8) & 255}.${n & 255}`, port: 8080, weight };
}

/** Backend "ns/NAME:80/4" of service "ns/NAME" with these endpoints. */
export function backend(name: string, endpoints: readonly number[], more: Partial<WantedBackend> = {}): WantedBackend {
  return {
    name: `ns/${name}:80/4`,
    service: `ns/${name}`,
    policy: 'random',
    affinitySeconds: 0,
    passthrough: false,
    emptyDirect: false,
    endpoints: endpoints.map((n) => endpoint(n)),
    ...more,
  };
}

/** "tcp/ADDRESS:80", "udp/…", ranges "tcp/10.0.0.0/16:80" and "tcp/[2001:db8::/32]:80"; `to` names backends as backend() does. */
export function frontend(text: string, to: string | Readonly<Record<string, string>>): WantedFrontend {
  const [, protocol, address, length, port] = /^(\w+)\/\[?([^\]/]+?)(?:\/(\d+))?\]?:(\d+)$/.exec(text) ?? [];
  const name = (short: string) => `ns/${short}:80/4`;
  return {
    key: text,
    protocol: protocol as Protocol,
    address: address as string,
    ...(length === undefined ? {} : { length: Number(length) }),
    port: Number(port),
    backend: typeof to === 'string' ? name(to) : new Map(Object.entries(to).map(([n, short]) => [n, name(short)])),
  };
}

export function client(n: number, namespace: string): WantedClient {
  return { workload: `pod-${n}`, namespace, address4: endpoint(n).address, address6: '', identity: '' };
}

/** Port 15088 of endpoint number `n`, where it reads headers. */
export function waypointPort(n: number, port = 15088): WantedPort {
  const { address } = endpoint(n);
  return { key: `${address}:${port}`, address, port, node: false };
}

export type Entry = WantedBackend | WantedFrontend | WantedClient | WantedPort;

/** All of these and nothing else. */
export function want(...entries: readonly Entry[]): Wanted {
  const backends = new Map<string, WantedBackend>();
  const frontends = new Map<string, WantedFrontend>();
  const clients = new Map<string, WantedClient>();
  const ports = new Map<string, WantedPort>();
  for (const entry of entries) {
    if ('endpoints' in entry) backends.set(entry.name, entry);
    else if ('backend' in entry) frontends.set(entry.key, entry);
    else if ('port' in entry) ports.set(entry.key, entry);
    else clients.set(entry.workload, entry);
  }
  return { backends, frontends, clients, ports };
}
