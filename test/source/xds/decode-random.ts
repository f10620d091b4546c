// SPDX-License-Identifier: Apache-2.0
// Any resource that a server could send: mostly right, sometimes wrong, from few values so that they repeat.
import fc from 'fast-check';

const number = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(0, 1, 2, 3) },
  { weight: 1, arbitrary: fc.constantFrom(4, 6, 7, 100, -1, 2147483647) },
);
const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('', 'a', 'b', 'shop', 'cart.shop.svc.cluster.local', 'x/y') },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }) },
);
const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size }).map((b) => Buffer.from(b));
const mapped = bytes(4).map((b) => Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), b]));
const address = fc.oneof(
  { weight: 10, arbitrary: bytes(4) },
  { weight: 10, arbitrary: bytes(16) },
  { weight: 5, arbitrary: mapped },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((b) => Buffer.from(b)) },
);
const bits = fc.oneof(
  { weight: 20, arbitrary: fc.nat(32) },
  { weight: 5, arbitrary: fc.nat(128) },
  { weight: 1, arbitrary: fc.nat(4294967295) },
);
const port = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(1, 80, 8080, 65535) },
  { weight: 1, arbitrary: fc.constantFrom(0, 65536, 4294967295) },
);
const some = <T>(of: fc.Arbitrary<T>) => fc.array(of, { maxLength: 3 });
/** Fields that may each be left out. */
const fields = <T extends object>(of: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(of, { requiredKeys: [] });

const extension = fields({ name: text, config: fc.constant({ type_url: 'x', value: Buffer.from('y') }) });
const extensions = fc.oneof({ weight: 9, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: some(extension) });
const gateway = fc
  .tuple(
    fc.oneof(
      fields({ namespace: text, hostname: text }).map((hostname) => ({ hostname })),
      fields({ network: text, address, length: bits }).map((a) => ({ address: a })),
      fc.constant({}),
    ),
    fields({ hboneMtlsPort: port }),
  )
  .map(([destination, rest]) => ({ ...destination, ...rest }));
const portOf = fields({ servicePort: port, targetPort: port, appProtocol: number });

const workload = fields({
  uid: text,
  name: text,
  namespace: text,
  addresses: some(address),
  hostname: text,
  network: text,
  tunnelProtocol: number,
  trustDomain: text,
  serviceAccount: text,
  waypoint: gateway,
  networkGateway: gateway,
  node: text,
  canonicalName: text,
  canonicalRevision: text,
  workloadType: number,
  workloadName: text,
  nativeTunnel: fc.boolean(),
  applicationTunnel: fields({ protocol: number, port }),
  services: fc.dictionary(
    fc.constantFrom('a/b', 'shop/cart.shop', 'x/y/z', 'none', '/'),
    fields({ ports: some(portOf) }),
    { maxKeys: 3 },
  ),
  authorizationPolicies: some(text),
  status: number,
  clusterId: text,
  locality: fields({ region: text, zone: text, subzone: text }),
  networkMode: number,
  extensions: some(extension),
  capacity: fields({ value: fc.nat(4294967295) }),
});

const service = fields({
  name: text,
  namespace: text,
  hostname: text,
  addresses: some(fields({ network: text, address, length: bits })),
  ports: some(portOf),
  subjectAltNames: some(text),
  waypoint: gateway,
  loadBalancing: fields({ routingPreference: some(number), mode: number, healthPolicy: number }),
  ipFamilies: number,
  extensions: some(extension),
  canonical: fc.boolean(),
  ingressUseWaypoint: fc.boolean(),
  weightedWaypoints: some(fields({ destination: gateway, weight: fc.nat(4294967295) })),
  visibility: number,
});

export const anyAddress = fc.oneof(
  { weight: 5, arbitrary: workload.map((w) => ({ workload: w })) },
  { weight: 5, arbitrary: service.map((s) => ({ service: s })) },
  { weight: 1, arbitrary: fc.constant({}) },
);

const textMatch = fc.oneof(
  { weight: 5, arbitrary: text.map((exact) => ({ exact })) },
  { weight: 5, arbitrary: text.map((prefix) => ({ prefix })) },
  { weight: 5, arbitrary: text.map((suffix) => ({ suffix })) },
  { weight: 5, arbitrary: fc.constant({ presence: {} }) },
  { weight: 1, arbitrary: fc.constant({}) },
);
const ranges = some(fields({ address, length: bits }));
const accounts = some(fields({ namespace: text, serviceAccount: text }));
const match = fields({
  namespaces: some(textMatch),
  notNamespaces: some(textMatch),
  principals: some(textMatch),
  notPrincipals: some(textMatch),
  sourceIps: ranges,
  notSourceIps: ranges,
  destinationIps: ranges,
  notDestinationIps: ranges,
  destinationPorts: some(port),
  notDestinationPorts: some(port),
  serviceAccounts: accounts,
  notServiceAccounts: accounts,
  extensions,
});

export const anyAuthorization = fields({
  name: text,
  namespace: text,
  scope: number,
  action: number,
  rules: some(fields({ clauses: some(fields({ matches: some(match) })) })),
  dryRun: fc.boolean(),
  extensions,
});
