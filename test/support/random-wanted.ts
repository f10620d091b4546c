// SPDX-License-Identifier: Apache-2.0
// Random desired states over a small world, so that states overlap and things come and go.
import fc from 'fast-check';
import type { Protocol } from '../../src/abi/structs.ts';
import type {
  Wanted,
  WantedBackend,
  WantedClient,
  WantedDelta,
  WantedEndpoint,
  WantedFrontend,
  WantedPort,
  WantedVia,
} from '../../src/compile/wanted.ts';
import type { BalancerPolicy } from '../../src/mesh/service.ts';

export const namespaces = ['red', 'green', 'blue'];
const services = Array.from({ length: 6 }, (_, i) => `${namespaces[i % 3]}/s${i}.local`);
const pods = Array.from({ length: 9 }, (_, i) => `Kubernetes//Pod/${namespaces[i % 3]}/p${i}`);
// One name that takes two parts, one with characters of more than one byte.
pods.push(`Kubernetes//Pod/red/${'long-name-'.repeat(7)}`, `Kubernetes//Pod/red/${'ü'.repeat(35)}`);
const policies: readonly BalancerPolicy[] = ['random', 'round-robin', 'least-request', 'source-hash'];

const waypoints = ['waypoint:red/way.local', 'waypoint:192.0.2.9', 'waypoint:red/way.local*1,192.0.2.9*2'];

const endpoint = (pod: number, weight: number): WantedEndpoint => ({
  workload: pods[pod] as string,
  address: `172.16.0.${pod + 1}`,
  port: 8080,
  weight,
});

const backendArb = (service: string, suffix: string): fc.Arbitrary<WantedBackend> =>
  fc
    .record({
      policy: fc.constantFrom(...policies),
      affinitySeconds: fc.constantFrom(0, 0, 10),
      passthrough: fc.constantFrom(false, false, true),
      emptyDirect: fc.boolean(),
      members: fc.uniqueArray(fc.record({ pod: fc.nat(pods.length - 1), weight: fc.constantFrom(1, 1, 2, 5) }), {
        selector: (m) => m.pod,
        maxLength: 5,
      }),
    })
    .map(({ members, ...fields }) => ({
      name: `${service}:80/4${suffix}`,
      service,
      ...fields,
      endpoints: members.map((m) => endpoint(m.pod, m.weight)),
    }));

const viaArb: fc.Arbitrary<WantedVia | undefined> = fc.option(
  fc.record({
    backend: fc.constantFrom(...waypoints.map((name) => `${name}/4`)),
    unready: fc.constantFrom('refuse', 'direct'),
    serverFirst: fc.constantFrom(false, false, true),
  }),
  { nil: undefined, freq: 1 },
);

const listedArb = fc.record({
  ports: fc
    .uniqueArray(fc.oneof(fc.constantFrom(25, 80, 3306), fc.integer({ min: 1, max: 65_535 })), { maxLength: 40 })
    .map((ports) => ports.sort((a, b) => a - b)),
  otherwise: fc.constantFrom('refuse', 'direct'),
});

/** Sets of endpoints for the waypoints, and which of them pods are behind. */
const waypointsArb = fc.record({
  backends: fc.tuple(...waypoints.map((name) => backendArb(name, ''))).map((all) =>
    all.map(
      (backend, i): WantedBackend => ({
        ...backend,
        ...{ name: `${waypoints[i]}/4`, passthrough: false, emptyDirect: false },
        endpoints: backend.endpoints.map((e, n) =>
          n % 2 === i % 2 ? { ...e, header: i === 0 ? 'proxy' : 'kmesh' } : e,
        ),
      }),
    ),
  ),
  pods: fc.tuple(...pods.map(() => fc.constantFrom(-1, -1, -1, 0, 1))),
  /** Ports where servers speak first: those of all, and of the pods with an odd number. */
  listed: fc.tuple(listedArb, listedArb),
});
type Waypoints = typeof waypointsArb extends fc.Arbitrary<infer T> ? T : never;

/** Those that are used, and the frontends of the pods behind them. */
function addWaypoints(
  { backends: all, pods: behind, listed }: Waypoints,
  backends: Map<string, WantedBackend>,
  frontends: Map<string, WantedFrontend>,
): void {
  for (const [pod, of] of behind.entries()) {
    if (of < 0) continue;
    const service = `workloads:${waypoints[of]}`;
    const odd = pod % 2;
    const name = `${service}${odd ? '[odd]' : ''}/4`;
    const base = { backend: `${waypoints[of]}/4`, unready: 'refuse', serverFirst: false } as const;
    const via: WantedVia = { ...base, ...(listed[odd] && { listed: listed[odd] }) };
    const rest = {
      policy: 'random',
      affinitySeconds: 0,
      passthrough: true,
      emptyDirect: false,
      endpoints: [],
    } as const;
    backends.set(name, { name, service, ...rest, via });
    const address = `172.16.0.${pod + 1}`;
    const key = `tcp/${address}:0`;
    frontends.set(key, { key, protocol: 'tcp', address, port: 0, backend: name });
  }
  const used = new Set([...backends.values()].map(({ via }) => via?.backend));
  for (const backend of all) if (used.has(backend.name)) backends.set(backend.name, backend);
}

interface Entry {
  readonly backend: WantedBackend;
  readonly shared: boolean;
  readonly ranged: boolean;
  readonly udp: boolean;
}

const entryArb = (service: string): fc.Arbitrary<Entry | undefined> =>
  fc.option(
    fc.record({
      backend: fc
        .tuple(backendArb(service, ''), viaArb)
        .map(([backend, via]): WantedBackend => (via ? { ...backend, via } : backend)),
      shared: fc.boolean(),
      ranged: fc.constantFrom(false, false, true),
      udp: fc.constantFrom(false, false, true),
    }),
    { nil: undefined, freq: 3 },
  );

interface Kept {
  readonly pod: number;
  readonly port: number;
  readonly onNode: boolean;
}

const keptArb = fc.uniqueArray(
  fc.record({ pod: fc.nat(pods.length - 1), port: fc.constantFrom(15088, 15019, 8080), onNode: fc.boolean() }),
  { maxLength: 4, selector: ({ pod, port }) => `${pod} ${port}` },
);

function portsOf(kept: readonly Kept[]): Map<string, WantedPort> {
  const ports = new Map<string, WantedPort>();
  for (const { pod, port, onNode } of kept) {
    const { address } = endpoint(pod, 1);
    const key = `${address}:${port}`;
    ports.set(key, { key, address, port, node: onNode });
  }
  return ports;
}

/** Own address, a shared one with variants by namespace, a range: as each entry says. */
function wantedOf(
  entries: readonly (Entry | undefined)[],
  local: readonly number[],
  through: Waypoints,
  kept: readonly Kept[],
): Wanted {
  const backends = new Map<string, WantedBackend>();
  const frontends = new Map<string, WantedFrontend>();
  const variants = { exact: new Map<string, string>(), range: new Map<string, string>() };
  const add = (protocol: Protocol, address: string, length: number | undefined, backend: WantedFrontend['backend']) => {
    const key = `${protocol}/${address}${length === undefined ? '' : `/${length}`}:80`;
    const range = length === undefined ? {} : { length };
    frontends.set(key, { key, protocol, address, ...range, port: 80, backend });
  };
  entries.forEach((entry, i) => {
    if (!entry) return;
    const { name } = entry.backend;
    backends.set(name, entry.backend);
    add('tcp', `10.0.0.${i + 1}`, undefined, name);
    if (entry.udp) add('udp', `10.0.0.${i + 1}`, undefined, name);
    if (entry.ranged && i % 2 === 0) add('tcp', `10.${i + 1}.0.0`, 16, name);
    if (entry.ranged && i % 2 === 1) variants.range.set(namespaces[i % 3] as string, name);
    if (entry.shared) variants.exact.set(i < 3 ? (namespaces[i] as string) : '', name);
  });
  if (variants.exact.size > 0) add('tcp', '10.9.9.9', undefined, variants.exact);
  if (variants.range.size > 0) add('tcp', '10.77.0.0', 16, variants.range);
  const clients = new Map<string, WantedClient>();
  for (const pod of local) {
    const workload = pods[pod] as string;
    const address4 = `172.16.0.${pod + 1}`;
    const identity = pod % 4 === 0 ? '' : `spiffe://cluster.local/ns/${namespaces[pod % 3]}/sa/s${pod % 2}`;
    const namespace = namespaces[pod % 3] as string;
    clients.set(workload, { workload, namespace, address4, address6: '', identity });
  }
  addWaypoints(through, backends, frontends);
  return { backends, frontends, clients, ports: portsOf(kept) };
}

export const wantedArb: fc.Arbitrary<Wanted> = fc
  .record({
    entries: fc.tuple(...services.map(entryArb)),
    local: fc.uniqueArray(fc.nat(pods.length - 1), { maxLength: 4 }),
    waypoints: waypointsArb,
    kept: keptArb,
  })
  .map(({ entries, local, waypoints, kept }) => wantedOf(entries, local, waypoints, kept));

/** Every address that any of the states gives an entry, one inside each range, and one that nobody has. */
export const dialled: readonly { readonly address: string; readonly protocol: Protocol; readonly varies: boolean }[] = [
  ...services.map((_, i) => ({ address: `10.0.0.${i + 1}`, protocol: 'tcp' as const, varies: false })),
  ...services.map((_, i) => ({ address: `10.0.0.${i + 1}`, protocol: 'udp' as const, varies: false })),
  ...[1, 3, 5].map((i) => ({ address: `10.${i}.3.4`, protocol: 'tcp' as const, varies: false })),
  { address: '10.9.9.9', protocol: 'tcp', varies: true },
  { address: '10.77.1.2', protocol: 'tcp', varies: true },
  { address: '192.0.2.1', protocol: 'tcp', varies: false },
  ...pods.map((_, i) => ({ address: `172.16.0.${i + 1}`, protocol: 'tcp' as const, varies: false })),
];

function difference<T>(before: ReadonlyMap<string, T>, after: ReadonlyMap<string, T>): Map<string, T | undefined> {
  const out = new Map<string, T | undefined>();
  for (const [key, value] of after) if (before.get(key) !== value) out.set(key, value);
  for (const key of before.keys()) if (!after.has(key)) out.set(key, undefined);
  return out;
}

/** What must be said to get from one state to the other. */
export function deltaBetween(before: Wanted, after: Wanted): WantedDelta {
  return {
    backends: difference(before.backends, after.backends),
    frontends: difference(before.frontends, after.frontends),
    clients: difference(before.clients, after.clients),
    ports: difference(before.ports, after.ports),
  };
}

export const nothingWanted: Wanted = {
  backends: new Map(),
  frontends: new Map(),
  clients: new Map(),
  ports: new Map(),
};
