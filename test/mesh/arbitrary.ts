// SPDX-License-Identifier: Apache-2.0
// Random changes over a small world, so that names, addresses, ports and localities meet often.
import fc from 'fast-check';
import type { GatewayAddress } from '../../src/mesh/gateway.ts';
import { parseLocality } from '../../src/mesh/locality.ts';
import type { Change, NodeView } from '../../src/mesh/model.ts';
import type { Scope, Service } from '../../src/mesh/service.ts';
import type { PortMapping, Workload } from '../../src/mesh/workload.ts';
import { port, service, workload } from './make.ts';

const namespaces = ['a', 'b', 'c'];
const hosts = ['one.test', 'two.test', 'three.test'];
const serviceKeys = namespaces.flatMap((n) => hosts.map((h) => `${n}/${h}`));
const networks = ['', '', '', 'far'];
const localities = ['r1/z1/s1', 'r1/z1/s2', 'r1/z2/s1', 'r2/z1/s1', 'r3'].map(parseLocality);
const nodes = ['n1', 'n2', ''];
const uids = Array.from({ length: 9 }, (_, i) => `w${i}`);
const workloadAddresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '2001:db8::1', '2001:db8::2'];
/** Exact addresses and ranges around them, of both families. */
export const serviceAddresses: readonly { readonly address: string; readonly length?: number }[] = [
  { address: '10.96.0.1' },
  { address: '10.96.0.2' },
  { address: '10.97.0.1' },
  { address: '10.96.0.0', length: 16 },
  { address: '10.96.0.0', length: 24 },
  { address: '10.0.0.0', length: 8 },
  { address: '0.0.0.0', length: 0 },
  { address: '2001:db8:1::1' },
  { address: '2001:db8:1::', length: 48 },
  { address: '::', length: 0 },
];
export const ports = [53, 80];

const portMapping: fc.Arbitrary<PortMapping> = fc.record(
  {
    servicePort: fc.constantFrom(...ports),
    targetPort: fc.constantFrom(0, 8080, 8081),
    protocol: fc.constantFrom('tcp', 'udp'),
  },
  { requiredKeys: ['servicePort', 'targetPort'] },
);

const gateway: fc.Arbitrary<GatewayAddress> = fc
  .record({
    destination: fc.oneof(
      fc.constantFrom(
        ...namespaces.map((namespace) => ({ kind: 'hostname', namespace, hostname: 'two.test' }) as const),
      ),
      fc
        .constantFrom('10.96.0.1', ...workloadAddresses, '192.0.2.9')
        .map((address) => ({ kind: 'address', network: '', address }) as const),
      fc.constant({ kind: 'unusable', reason: 'nobody knows' } as const),
    ),
    binding: fc.constantFrom(undefined, undefined, { header: 'kmesh', port: 15019 } as const),
  })
  .map(({ destination, binding }) => ({ destination, hboneMtlsPort: 15008, ...(binding && { binding }) }));

const maybeGateway = fc.option(gateway, { nil: undefined, freq: 2 });
const otherwise = fc.constantFrom(undefined, undefined, 'refuse', 'direct');

export const anyWorkload: fc.Arbitrary<Workload> = fc
  .record({
    uid: fc.constantFrom(...uids),
    namespace: fc.constantFrom(...namespaces),
    addresses: fc.uniqueArray(fc.constantFrom(...workloadAddresses), { maxLength: 3 }),
    network: fc.constantFrom(...networks),
    clusterId: fc.constantFrom('', 'Kubernetes', 'other'),
    node: fc.constantFrom(...nodes),
    locality: fc.constantFrom(...localities),
    status: fc.constantFrom('healthy', 'healthy', 'unhealthy'),
    capacity: fc.constantFrom(0, 1, 1, 2, 5),
    hostNetwork: fc.constantFrom(false, false, true),
    services: fc
      .array(fc.tuple(fc.constantFrom(...serviceKeys), fc.array(portMapping, { maxLength: 2 })), { maxLength: 4 })
      .map((pairs) => new Map(pairs)),
    waypoint: maybeGateway,
    waypointUnready: otherwise,
    applicationTunnel: fc.constantFrom(undefined, undefined, { protocol: 'proxy', port: 15088 } as const),
  })
  .map((fields) => workload(fields.uid, fields as Partial<Workload>));

const scope: fc.Arbitrary<Scope> = fc.constantFrom('region', 'zone', 'subzone', 'node', 'cluster', 'network');

const locality = fc.record({
  distribute: fc.array(
    fc.record({
      from: fc.constantFrom('*', 'r1', 'r1/*', 'r1/z1/s1', 'r2/z1'),
      to: fc
        .array(fc.tuple(fc.constantFrom('r1/z1/*', 'r1/z2', 'r2', 'r3'), fc.integer({ min: 0, max: 100 })), {
          minLength: 1,
          maxLength: 3,
        })
        .map((pairs): ReadonlyMap<string, number> => new Map(pairs)),
    }),
    { maxLength: 2 },
  ),
  failover: fc.constantFrom([], [{ from: 'r1', to: 'r3' }]),
});

export const anyService: fc.Arbitrary<Service> = fc
  .record(
    {
      namespace: fc.constantFrom(...namespaces),
      hostname: fc.constantFrom(...hosts),
      addresses: fc.array(
        fc
          .tuple(fc.constantFrom(...serviceAddresses), fc.constantFrom(...networks))
          .map(([a, network]) => ({ ...a, network })),
        { maxLength: 3 },
      ),
      ports: fc.array(
        fc
          .record({
            port: fc.constantFrom(...ports),
            targetPort: fc.constantFrom(0, 8080, 9090),
            protocol: fc.constantFrom('tcp', 'udp', 'any'),
            appProtocol: fc.constantFrom('', '', '', 'http', 'mysql'),
            first: fc.constantFrom(undefined, undefined, true, false),
          })
          .map(({ first, ...p }) => port(p.port, { ...p, ...(first !== undefined && { serverFirst: first }) })),
        { maxLength: 3 },
      ),
      loadBalancing: fc.record({
        mode: fc.constantFrom('standard', 'standard', 'strict', 'failover', 'passthrough'),
        scopes: fc.uniqueArray(scope, { maxLength: 3 }),
        healthPolicy: fc.constantFrom('only-healthy', 'allow-all'),
      }),
      balancer: fc.record({
        policy: fc.constantFrom('random', 'round-robin', 'least-request', 'source-hash'),
        affinitySeconds: fc.constantFrom(0, 60),
      }),
      ipFamilies: fc.constantFrom('automatic', 'automatic', 'ipv4', 'ipv6', 'dual'),
      canonical: fc.boolean(),
      visibility: fc.constantFrom('public', 'public', 'namespace'),
      onEmpty: fc.constantFrom('refuse', 'direct'),
      waypoint: maybeGateway,
      waypointUnready: otherwise,
      weightedWaypoints: fc.array(fc.record({ destination: gateway, weight: fc.constantFrom(0, 20, 80) }), {
        maxLength: 2,
      }),
      locality,
    },
    {
      requiredKeys: [
        'namespace',
        'hostname',
        'addresses',
        'ports',
        'loadBalancing',
        'balancer',
        'ipFamilies',
        'canonical',
        'visibility',
        'onEmpty',
        'weightedWaypoints',
      ],
    },
  )
  .map((fields) => service(fields as Partial<Service>));

export const anyChange: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: anyWorkload.map((w): Change => ({ kind: 'put-workload', workload: w })) },
  { weight: 4, arbitrary: anyService.map((s): Change => ({ kind: 'put-service', service: s })) },
  { weight: 1, arbitrary: fc.constantFrom(...uids).map((uid): Change => ({ kind: 'remove-workload', uid })) },
  { weight: 1, arbitrary: fc.constantFrom(...serviceKeys).map((key): Change => ({ kind: 'remove-service', key })) },
);

/** Batches of changes, one after the other. */
export const anyBatches: fc.Arbitrary<readonly (readonly Change[])[]> = fc.array(
  fc.array(anyChange, { maxLength: 6 }),
  {
    maxLength: 12,
  },
);

export const anyView: fc.Arbitrary<NodeView> = fc.record({
  node: fc.constantFrom('n1', 'n2'),
  network: fc.constantFrom(...networks),
  clusterId: fc.constantFrom('', 'other'),
  locality: fc.constantFrom(...localities),
  waypoints: fc.record({
    binding: fc.constantFrom({ header: 'proxy', port: 15088 } as const, { header: 'none', port: 0 } as const),
    unready: fc.constantFrom('refuse', 'direct'),
    serverFirst: fc.constantFrom('refuse', 'direct'),
    serverFirstPorts: fc.constantFrom([], [8080], [9090, 53]),
  }),
});

export { namespaces };
