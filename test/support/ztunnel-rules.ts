// SPDX-License-Identifier: Apache-2.0
// What a node must do with what istiod serves, by ztunnel's rules and docs/data-plane.md, computed the plain way: no index, no cache, one
// question at a time. Shares nothing with src/compile.
import { addressOf } from '../../src/net/address.ts';
import { type Served, type ServedService, type ServedWorkload, servicesOf, workloadsOf } from './served.ts';

export interface Rules {
  /** Name of the node that this is about. */
  readonly node: string;
  readonly network?: string;
  /** Host name of a workload without addresses -> what it resolves to. */
  readonly resolved?: Readonly<Record<string, readonly string[]>>;
  /** "namespace/hostname:port" -> the transports that something else than istiod says it has; the others have both. */
  readonly transports?: Readonly<Record<string, readonly Protocol[]>>;
}

type Protocol = 'tcp' | 'udp';

/** Where a client connects to, how often out of once. */
interface Place {
  readonly uid: string;
  readonly address: string;
  readonly port: number;
  readonly share: number;
}

/** "tcp 10.96.0.1:80 from shop" -> every answer that the rules allow there. 'nobody': the client sees no service there. */
export type Expected = ReadonlyMap<string, readonly string[]>;

const textOf = (bytes: string): string => addressOf(Buffer.from(bytes, 'base64')) as string;
const isFour = (address: string): boolean => !address.includes(':');
const bitsOf = (bytes: string): string =>
  [...Buffer.from(bytes, 'base64')].map((b) => b.toString(2).padStart(8, '0')).join('');

/** An address (its whole length) or range that a service is known by on this network. */
interface Claim {
  readonly service: ServedService;
  readonly text: string;
  readonly bits: string;
  readonly range: boolean;
}

function claimsOf(services: readonly ServedService[], network: string): readonly Claim[] {
  return services.flatMap((service) =>
    (service.addresses ?? []).flatMap((a) => {
      if ((a.network ?? '') !== network) return [];
      const all = bitsOf(a.address);
      const range = a.length !== undefined && a.length < all.length;
      const bits = range ? all.slice(0, a.length) : all;
      return [{ service, text: range ? `${textOf(a.address)}/${a.length}` : textOf(a.address), bits, range }];
    }),
  );
}

const servesPort = (service: ServedService, port: number, protocol: Protocol, rules: Rules): boolean =>
  (service.ports ?? []).some((p) => p.servicePort === port) &&
  (rules.transports?.[`${service.namespace}/${service.hostname}:${port}`]?.includes(protocol) ?? true);

/** Of these claims those that win for a client of `namespace`: own namespace, longest range, canonical. Several: any of them may. */
function winners(claims: readonly Claim[], namespace: string): readonly Claim[] {
  const visible = claims.filter(({ service }) => service.visibility !== 'NAMESPACE' || service.namespace === namespace);
  const orders: ((c: Claim) => number)[] = [
    ({ service }) => Number(service.namespace === namespace),
    ({ bits }) => bits.length,
    ({ service }) => Number(service.canonical === true),
  ];
  let left = visible;
  for (const order of orders) {
    const most = Math.max(...left.map(order));
    left = left.filter((c) => order(c) === most);
  }
  return left;
}

interface World {
  /** "namespace/hostname" -> the workloads that name it. */
  readonly members: ReadonlyMap<string, readonly ServedWorkload[]>;
  /** Where this node is, as its own workloads tell. */
  readonly here: ServedWorkload | undefined;
}

function membersOf(served: Served): World['members'] {
  const members = new Map<string, ServedWorkload[]>();
  for (const workload of workloadsOf(served)) {
    for (const key of Object.keys(workload.services ?? {})) {
      const held = members.get(key);
      if (held) held.push(workload);
      else members.set(key, [workload]);
    }
  }
  return members;
}

const localityOf = (served: Served, node: string): ServedWorkload | undefined =>
  workloadsOf(served).find((w) => w.node === node && w.locality !== undefined);

export function expectedOf(served: Served, rules: Rules): Expected {
  const claims = claimsOf(servicesOf(served), rules.network ?? '');
  const world: World = { members: membersOf(served), here: localityOf(served, rules.node) };
  // Ranges are looked at for every address; of single addresses only those that are the same.
  const ranges = claims.filter((c) => c.range);
  const singles = new Map<string, Claim[]>();
  for (const claim of claims) if (!claim.range) singles.set(claim.bits, [...(singles.get(claim.bits) ?? []), claim]);
  const expected = new Map<string, readonly string[]>();
  for (const { text, bits, range, service } of claims) {
    const around = ranges.filter((c) => c.bits === bits.slice(0, c.bits.length));
    const inside = range ? around : [...(singles.get(bits) ?? []), ...around];
    const sameFamily = inside.filter((c) => isFour(c.text) === isFour(text));
    for (const { servicePort: port } of service.ports ?? []) {
      for (const protocol of ['tcp', 'udp'] as const) {
        if (!servesPort(service, port, protocol, rules)) continue;
        const serving = sameFamily.filter((c) => servesPort(c.service, port, protocol, rules));
        const exact = serving.filter((c) => !c.range);
        const namespaces = new Set(['', ...serving.map((c) => c.service.namespace)]);
        for (const namespace of namespaces) {
          const level =
            range || winners(exact, namespace).length === 0 ? serving.filter((c) => range || c.range) : exact;
          const answers = winners(level, namespace).map((winner) =>
            answerOf(winner.service, world, port, protocol, isFour(text), rules),
          );
          const at = `${protocol} ${text.includes(':') ? `[${text}]` : text}:${port}`;
          expected.set(`${at} from ${namespace || 'elsewhere'}`, answers.length > 0 ? answers : ['nobody']);
        }
      }
    }
  }
  return expected;
}

/** "namespace/hostname: uid address:port share, …" as text that can be compared. */
export function answerText(service: string, passthrough: boolean, places: readonly Place[]): string {
  if (passthrough) return `${service}: passthrough`;
  // A little is added so that a share which the kernel holds a hair lower is written the same.
  const lines = places.map((p) => `${p.uid} ${p.address} ${p.port} ${(p.share + 1e-7).toFixed(4)}`);
  return `${service}: ${lines.sort().join(', ') || 'nowhere'}`;
}

function answerOf(
  service: ServedService,
  world: World,
  port: number,
  protocol: Protocol,
  dialsFour: boolean,
  rules: Rules,
): string {
  const key = `${service.namespace}/${service.hostname}`;
  const mode = service.loadBalancing?.mode;
  if (mode === 'PASSTHROUGH') return answerText(key, true, []);
  const able = (world.members.get(key) ?? []).flatMap((w) => ableOf(service, key, w, port, rules));
  for (const addressOf of preferences(dialsFour, protocol)) {
    const reachable = able.filter((a) => addressOf(a.addresses) !== undefined);
    const near = nearest(service, reachable, world, rules);
    if (near.length === 0) continue;
    const total = near.reduce((sum, { workload }) => sum + capacityOf(workload), 0);
    const places = near.map((a) => ({
      uid: a.workload.uid,
      address: addressOf(a.addresses) as string,
      port: a.port,
      share: capacityOf(a.workload) / total,
    }));
    return answerText(key, false, places);
  }
  return answerText(key, false, []);
}

interface Able {
  readonly workload: ServedWorkload;
  readonly addresses: readonly string[];
  readonly port: number;
}

const capacityOf = (w: ServedWorkload): number => w.capacity ?? 1;

/** The workload, if it serves the port of the service at all, whoever asks. */
function ableOf(service: ServedService, key: string, w: ServedWorkload, port: number, rules: Rules): Able[] {
  const membership = w.services?.[key];
  if (membership === undefined) return [];
  if (w.status === 'UNHEALTHY' && service.loadBalancing?.healthPolicy !== 'ALLOW_ALL') return [];
  if (capacityOf(w) === 0 || (w.network ?? '') !== (rules.network ?? '')) return [];
  const named = membership.ports?.find((p) => p.servicePort === port)?.targetPort;
  const target = named || service.ports?.find((p) => p.servicePort === port)?.targetPort;
  if (!target) return [];
  const own = (w.addresses ?? []).map(textOf);
  const all = own.length > 0 ? own : (rules.resolved?.[w.hostname ?? ''] ?? []);
  const addresses = all.filter((address) => {
    if (service.ipFamilies === 'IPV4_ONLY') return isFour(address);
    return service.ipFamilies !== 'IPV6_ONLY' || !isFour(address);
  });
  return addresses.length > 0 ? [{ workload: w, addresses, port: target }] : [];
}

/** An IPv4 socket cannot be sent to IPv6; an IPv6 one can be to IPv4, but not by an unconnected datagram. */
function preferences(dialsFour: boolean, protocol: Protocol) {
  const four = (all: readonly string[]) => all.find(isFour);
  const six = (all: readonly string[]) => all.find((a) => !isFour(a));
  if (dialsFour) return [four, six];
  return protocol === 'udp' ? [six, four] : [(all: readonly string[]) => six(all) ?? four(all)];
}

function nearest(service: ServedService, all: readonly Able[], { here }: World, rules: Rules): readonly Able[] {
  const scopes = service.loadBalancing?.routingPreference ?? [];
  const mode = service.loadBalancing?.mode;
  const labels = (w: ServedWorkload | undefined, node = w?.node): Record<string, string> => ({
    REGION: w?.locality?.region ?? '',
    ZONE: w?.locality?.zone ?? '',
    SUBZONE: w?.locality?.subzone ?? '',
    NODE: node ?? '',
    CLUSTER: w?.clusterId ?? 'Kubernetes',
    NETWORK: w?.network ?? '',
  });
  const own = { ...labels(here, rules.node), NETWORK: rules.network ?? '' };
  const matches = ({ workload }: Able) =>
    scopes.map((scope) => labels(workload)[scope] === own[scope as keyof typeof own]);
  if (mode === 'STRICT') return all.filter((a) => matches(a).every(Boolean));
  if (mode !== 'FAILOVER') return all;
  const rank = (a: Able): number => {
    const matched = matches(a);
    if (scopes[0] !== 'NETWORK') return [...matched, false].indexOf(false);
    const rest = [...matched.slice(1), false].indexOf(false);
    return rest + (matched[0] ? scopes.length : 0);
  };
  const best = Math.max(...all.map(rank));
  return all.filter((a) => rank(a) === best);
}
