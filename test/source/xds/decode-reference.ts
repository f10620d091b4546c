// SPDX-License-Identifier: Apache-2.0
// What a resource should be decoded to, the plain way: from protobufjs objects with nothing left out, without a thought for speed.
import ipaddr from 'ipaddr.js';
import { types } from './decode-messages.ts';

/** Fields that are wrong, or the change. */
export interface Reference {
  readonly wrong: ReadonlySet<string>;
  readonly change: unknown;
}

type Fields = Record<string, unknown>;

const asObject = (type: keyof typeof types, body: Uint8Array): Fields =>
  types[type].toObject(types[type].decode(body), { defaults: true, arrays: true, objects: true, longs: Number });

const list = (value: unknown) => value as Fields[];
/** A message field that is absent is null with defaults. */
const maybe = (value: unknown) => (value ?? undefined) as Fields | undefined;

function openWrong() {
  const wrong = new Set<string>();
  return {
    wrong,
    must(holds: boolean, field: string): void {
      if (!holds) wrong.add(field);
    },
    oneOf<T>(names: readonly T[], value: unknown, field: string): T {
      if (!Object.hasOwn(names as readonly unknown[] & { [n: number]: T }, value as number)) wrong.add(field);
      return names[value as number] as T;
    },
  };
}
type Wrong = ReturnType<typeof openWrong>;

function ip(bytes: Uint8Array): string | undefined {
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  const parsed = ipaddr.fromByteArray([...bytes]);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  const v6 = parsed as ipaddr.IPv6;
  return v6.isIPv4MappedAddress() ? v6.toIPv4Address().toString() : v6.toRFC5952String();
}

function range(bytes: Uint8Array, length: number, field: string, w: Wrong) {
  w.must(ip(bytes) !== undefined, `${field}.address`);
  w.must(ip(bytes) === undefined || length <= bytes.length * 8, `${field}.length`);
  if (ip(bytes) === undefined || length > bytes.length * 8) return { address: '', length };
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const masked = bits.slice(0, length).padEnd(bits.length, '0');
  const first = Uint8Array.from({ length: bytes.length }, (_, i) => Number.parseInt(masked.slice(i * 8, i * 8 + 8), 2));
  const address = ip(first) as string;
  return { address, length: bytes.length === 16 && !address.includes(':') ? length - 96 : length };
}

function gateway(value: Fields, field: string, w: Wrong) {
  const port = value.hboneMtlsPort as number;
  w.must(port <= 65535, `${field}.hbone_mtls_port`);
  const hostname = maybe(value.hostname);
  const address = maybe(value.address);
  w.must(hostname !== undefined || address !== undefined, field);
  if (address === undefined) return { destination: { kind: 'hostname', ...hostname }, hboneMtlsPort: port };
  const text = ip(address.address as Uint8Array);
  w.must(text !== undefined, `${field}.address.address`);
  return { destination: { kind: 'address', network: address.network, address: text }, hboneMtlsPort: port };
}

function ports(value: unknown, field: string, w: Wrong): Map<number, Fields> {
  const found = new Map<number, Fields>();
  for (const [i, port] of list(value).entries()) {
    const number = port.servicePort as number;
    w.must(number >= 1 && number <= 65535, `${field}[${i}].service_port`);
    w.must((port.targetPort as number) <= 65535, `${field}[${i}].target_port`);
    found.set(number, port);
  }
  return found;
}

function workload(value: Fields, w: Wrong): unknown {
  const services = new Map();
  for (const [i, [key, entry]] of Object.entries(value.services as Record<string, Fields>).entries()) {
    w.must(key.includes('/'), `services[${i}].key`);
    const own = ports(entry.ports, `services[${i}].ports`, w);
    services.set(
      key,
      [...own].map(([servicePort, port]) => ({ servicePort, targetPort: port.targetPort })),
    );
  }
  const addresses = (value.addresses as Uint8Array[]).map((bytes, i) => {
    w.must(ip(bytes) !== undefined, `addresses[${i}]`);
    return ip(bytes);
  });
  const tunnel = maybe(value.applicationTunnel);
  const waypoint = maybe(value.waypoint);
  const networkGateway = maybe(value.networkGateway);
  const locality = maybe(value.locality) ?? { region: '', zone: '', subzone: '' };
  w.must(value.uid !== '', 'uid');
  for (const [field, text, most] of [
    ['namespace', value.namespace, 63],
    ['trust_domain', value.trustDomain, 253],
    ['service_account', value.serviceAccount, 253],
  ] as const) {
    w.must(String(text).length <= most && /^[\x21-\x2e\x30-\x7e]*$/.test(String(text)), field);
  }
  if (tunnel) w.must((tunnel.port as number) <= 65535, 'application_tunnel.port');
  return {
    uid: value.uid,
    name: value.name,
    namespace: value.namespace,
    addresses,
    hostname: value.hostname,
    network: value.network,
    clusterId: value.clusterId === '' ? 'Kubernetes' : value.clusterId,
    trustDomain: value.trustDomain === '' ? 'cluster.local' : value.trustDomain,
    serviceAccount: value.serviceAccount === '' ? 'default' : value.serviceAccount,
    node: value.node,
    workloadName: value.workloadName,
    workloadType: ['deployment', 'cronjob', 'pod', 'job'][value.workloadType as number] ?? 'deployment',
    canonicalName: value.canonicalName,
    canonicalRevision: value.canonicalRevision,
    locality,
    status: w.oneOf(['healthy', 'unhealthy'], value.status, 'status'),
    capacity: maybe(value.capacity)?.value ?? 1,
    hostNetwork: w.oneOf([false, true], value.networkMode, 'network_mode'),
    services,
    authorizationPolicies: value.authorizationPolicies,
    ...(waypoint && { waypoint: gateway(waypoint, 'waypoint', w) }),
    ...(networkGateway && { networkGateway: gateway(networkGateway, 'network_gateway', w) }),
    tunnelProtocol: w.oneOf(['none', 'hbone'], value.tunnelProtocol, 'tunnel_protocol'),
    nativeTunnel: value.nativeTunnel,
    ...(tunnel && {
      applicationTunnel: {
        protocol: w.oneOf(['none', 'proxy'], tunnel.protocol, 'application_tunnel.protocol'),
        port: tunnel.port,
      },
    }),
  };
}

const scopeNames = [undefined, 'region', 'zone', 'subzone', 'node', 'cluster', 'network'];

function service(value: Fields, w: Wrong): unknown {
  const addresses = list(value.addresses).map((item, i) => {
    const bytes = item.address as Uint8Array;
    const network = item.network;
    if (!Object.hasOwn(item, 'length') || item.length === undefined || item.length === null) {
      w.must(ip(bytes) !== undefined, `addresses[${i}].address`);
      return { network, address: ip(bytes) };
    }
    const found = range(bytes, item.length as number, `addresses[${i}]`, w);
    return item.length === bytes.length * 8 ? { network, address: found.address } : { network, ...found };
  });
  const balancing = maybe(value.loadBalancing) ?? { routingPreference: [], mode: 0, healthPolicy: 0 };
  const scopes = (balancing.routingPreference as number[]).map((scope, i) => {
    w.must(scopeNames[scope] !== undefined, `load_balancing.routing_preference[${i}]`);
    return scopeNames[scope];
  });
  const waypoint = maybe(value.waypoint);
  w.must(value.hostname !== '', 'hostname');
  return {
    name: value.name,
    namespace: value.namespace,
    hostname: value.hostname,
    addresses,
    ports: [...ports(value.ports, 'ports', w)].map(([port, of]) => ({
      port,
      targetPort: of.targetPort,
      protocol: 'any',
      name: '',
      appProtocol: ['', 'http', 'http2', 'grpc', 'tcp', 'tls'][of.appProtocol as number] ?? '',
    })),
    loadBalancing: {
      mode: w.oneOf(['standard', 'strict', 'failover', 'passthrough'], balancing.mode, 'load_balancing.mode'),
      scopes,
      healthPolicy: w.oneOf(['only-healthy', 'allow-all'], balancing.healthPolicy, 'load_balancing.health_policy'),
    },
    balancer: { policy: 'random', affinitySeconds: 0 },
    ipFamilies: w.oneOf(['automatic', 'ipv4', 'ipv6', 'dual'], value.ipFamilies, 'ip_families'),
    canonical: value.canonical,
    visibility: value.visibility === 1 ? 'namespace' : 'public',
    subjectAltNames: value.subjectAltNames,
    ...(waypoint && { waypoint: gateway(waypoint, 'waypoint', w) }),
    weightedWaypoints: list(value.weightedWaypoints).map((item, i) => {
      const field = `weighted_waypoints[${i}].destination`;
      const destination = maybe(item.destination);
      w.must(destination !== undefined, field);
      return { destination: destination && gateway(destination, field, w), weight: item.weight };
    }),
    onEmpty: 'refuse',
  };
}

export function referenceAddress(body: Uint8Array): Reference {
  const w = openWrong();
  const value = asObject('address', body);
  const which = maybe(value.workload);
  const other = maybe(value.service);
  if (which) return { wrong: w.wrong, change: { kind: 'put-workload', workload: workload(which, w) } };
  if (other) return { wrong: w.wrong, change: { kind: 'put-service', service: service(other, w) } };
  return { wrong: new Set(['']), change: undefined };
}

function match(value: Fields, field: string, w: Wrong): Fields {
  const texts = (name: string, path: string) =>
    list(value[name]).map((item, i) => {
      if (maybe(item.presence)) return { kind: 'presence' };
      const kind = ['exact', 'prefix', 'suffix'].find((k) => typeof item[k] === 'string');
      w.must(kind !== undefined, `${field}.${path}[${i}]`);
      return { kind, value: item[kind ?? ''] };
    });
  const ranges = (name: string, path: string) =>
    list(value[name]).map((item, i) =>
      range(item.address as Uint8Array, item.length as number, `${field}.${path}[${i}]`, w),
    );
  const numbers = (name: string, path: string) => {
    for (const [i, port] of (value[name] as number[]).entries()) w.must(port <= 65535, `${field}.${path}[${i}]`);
    return value[name];
  };
  for (const i of list(value.extensions).keys()) w.must(false, `${field}.extensions[${i}]`);
  return {
    namespaces: texts('namespaces', 'namespaces'),
    notNamespaces: texts('notNamespaces', 'not_namespaces'),
    principals: texts('principals', 'principals'),
    notPrincipals: texts('notPrincipals', 'not_principals'),
    serviceAccounts: value.serviceAccounts,
    notServiceAccounts: value.notServiceAccounts,
    sourceIps: ranges('sourceIps', 'source_ips'),
    notSourceIps: ranges('notSourceIps', 'not_source_ips'),
    destinationIps: ranges('destinationIps', 'destination_ips'),
    notDestinationIps: ranges('notDestinationIps', 'not_destination_ips'),
    destinationPorts: numbers('destinationPorts', 'destination_ports'),
    notDestinationPorts: numbers('notDestinationPorts', 'not_destination_ports'),
  };
}

export function referenceAuthorization(body: Uint8Array): Reference {
  const w = openWrong();
  const value = asObject('authorization', body);
  const rules = list(value.rules).map((rule, r) =>
    list(rule.clauses).map((clause, c) =>
      list(clause.matches).map((m, i) => match(m, `rules[${r}].clauses[${c}].matches[${i}]`, w)),
    ),
  );
  for (const i of list(value.extensions).keys()) w.must(false, `extensions[${i}]`);
  const policy = {
    name: value.name,
    namespace: value.namespace,
    scope: w.oneOf(['global', 'namespace', 'selector'], value.scope, 'scope'),
    action: w.oneOf(['allow', 'deny'], value.action, 'action'),
    rules,
    dryRun: value.dryRun,
  };
  return { wrong: w.wrong, change: { kind: 'put-policy', policy } };
}
