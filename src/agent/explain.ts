// SPDX-License-Identifier: Apache-2.0
// What the model says of a connection: which service answers, who could serve it, and why the others do not.
import type { ExplainQuery } from '../admin/routes.ts';
import type { Candidate, ModelExplanation } from '../admin/types.ts';
import { candidates, portsOf } from '../compile/backend.ts';
import { lookup } from '../compile/lookup.ts';
import { isServerFirst, serverFirstNumbers } from '../compile/server-first.ts';
import type { Wanted, WantedBackend } from '../compile/wanted.ts';
import { isStandIn, refOf, waypointOfWorkload } from '../compile/waypoint.ts';
import { knownOfPort } from '../compile/workload-frontends.ts';
import { KmeshError } from '../errors.ts';
import { equal } from '../mesh/equal.ts';
import {
  defaultWaypointSettings,
  type GatewayAddress,
  type GatewayDestination,
  type Otherwise,
  placesOf,
} from '../mesh/gateway.ts';
import { localityText } from '../mesh/locality.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import { addressText, type Service, waypointsOf } from '../mesh/service.ts';
import type { Workload } from '../mesh/workload.ts';
import { isV4, parseAddress } from '../net/address.ts';
import { socketAddressText } from '../net/socket-address.ts';
import { portClaims } from './port-claims.ts';

/** @throws KmeshError KM_USAGE when the address is none; KM_NOT_FOUND when the client's workload is not in the model. */
export function explainByModel(
  state: {
    readonly model: Model;
    readonly view: NodeView;
    readonly wanted: Wanted;
    /** Waypoints that this agent tells what to do, and how many proxies each has here; absent: it tells none. */
    readonly proxies?: () => ReadonlyMap<string, number>;
  },
  query: ExplainQuery,
): ModelExplanation {
  const { model, view, wanted } = state;
  const address = parseAddress(query.address);
  if (address === undefined) throw new KmeshError('KM_USAGE', `"${query.address}" is no address`);
  const client = query.workload === undefined ? undefined : model.workloads.get(query.workload);
  if (query.workload !== undefined && !client) {
    throw new KmeshError('KM_NOT_FOUND', `the agent knows no workload "${query.workload}"`);
  }
  const namespace = client?.namespace ?? '';
  const { protocol, port } = query;
  const base = { protocol, address, port, namespace };
  const found = lookup(wanted, namespace, protocol, address, port);
  const backend = found?.backend === undefined ? undefined : wanted.backends.get(found.backend);
  const goals = (all: readonly Pick<Candidate, 'address' | 'port'>[]) =>
    protocol === 'tcp' ? portNotes(state, all) : [];
  if (!backend) {
    const notes = found ? notSeen(model, address, namespace) : unknown(state, address);
    const kept = goals([query]);
    const left = `${protocol}/${socketAddressText(address, port)} is left alone`;
    return {
      ...base,
      service: '',
      backend: '',
      candidates: [],
      notes: [...notes, ...(kept.length > 0 ? kept : [left])],
    };
  }
  const service = model.services.get(backend.service);
  const family = isV4(address) ? 4 : 6;
  const behind = protocol === 'tcp' ? throughWaypoint(state, backend, client, port) : undefined;
  const own =
    behind?.candidates ??
    candidates(model, view, backend.service, port, protocol, family).map(
      (c): Candidate =>
        c.in
          ? { ...pick(c), out: '' }
          : { workload: c.workload, address: '', port: 0, weight: 0, probability: 0, out: c.reason },
    );
  return {
    ...base,
    service: isStandIn(backend.service) ? '' : backend.service,
    backend: backend.name,
    candidates: own,
    notes: [
      ...waypointNotes(state, backend, service, base),
      ...(behind ? [] : goals([query, ...own])),
      ...(service ? rules(service, view) : []),
    ],
  };
}

type State = Parameters<typeof explainByModel>[0];

/** Which of these are ports where waypoints read a header, and who says so. */
function portNotes({ model, view, wanted }: State, goals: readonly Pick<Candidate, 'address' | 'port'>[]): string[] {
  const kept = new Set<string>();
  for (const { address, port } of goals) {
    const at = parseAddress(address);
    const key = at === undefined ? '' : socketAddressText(at, port);
    if (wanted.ports.has(key)) kept.add(key);
  }
  return [...kept].map((key) => `${key} is where ${portClaims(model, view, key).join(' and ')} reads a header`);
}

/** The waypoint's endpoints as candidates; undefined: the connection goes past it, if there is one. */
function throughWaypoint(
  { wanted }: State,
  { via }: WantedBackend,
  client: Workload | undefined,
  dialled: number,
): { readonly candidates: readonly Candidate[] } | undefined {
  const through = via && wanted.backends.get(via.backend);
  if (!via || !through) return undefined;
  if (through.endpoints.some((e) => e.workload === client?.uid)) return undefined;
  if (via.serverFirst) return { candidates: [] };
  if (via.listed?.ports.includes(dialled)) return via.listed.otherwise === 'direct' ? undefined : { candidates: [] };
  if (through.endpoints.length === 0) return via.unready === 'direct' ? undefined : { candidates: [] };
  const total = through.endpoints.reduce((sum, e) => sum + e.weight, 0);
  return {
    candidates: through.endpoints.map(({ workload, address, port, weight }): Candidate => {
      const probability = weight / total;
      return { workload, address, port: port === 0 ? dialled : port, weight, probability, out: '' };
    }),
  };
}

/** Which Gateways are meant, what of them cannot be used, and what becomes of connections then. */
function waypointNotes(
  { model, view, wanted, proxies }: State,
  { via, name }: WantedBackend,
  service: Service | undefined,
  { address, port, protocol }: Pick<ExplainQuery, 'address' | 'port' | 'protocol'>,
): string[] {
  const notes: string[] = [];
  const asked = service ? waypointsOf(service) : via ? behindOf(model, name) : [];
  for (const at of asked) {
    const { destination: to, gateway = gatewayAt(model, at) } = at;
    const who = gateway === undefined ? 'a waypoint' : `Gateway ${gateway}`;
    if (to.kind === 'unusable') notes.push(`waypoint: ${to.reason}`);
    else if (to.kind === 'hostname')
      notes.push(`waypoint: ${who}, the service ${placesOf(at).map(placeName).join(', ')}`);
    else notes.push(`waypoint: ${who} at ${placesOf(at).map(placeName).join(', ')}`);
    if (to.kind !== 'unusable' && gateway !== undefined && proxies?.().get(gateway) === 0) {
      notes.push(`no Envoy of Gateway ${gateway} is connected to this agent: "kmeshctl waypoint run" runs one`);
    }
  }
  if (asked.length === 0) return notes;
  if (protocol === 'udp') return [...notes, 'UDP goes past waypoints'];
  const entry = service && portsOf(service).get(port)?.tcp;
  const settings = view.waypoints ?? defaultWaypointSettings;
  if (entry && isServerFirst(entry, settings.serverFirstPorts)) {
    // What is said of the port counts wherever it is; its number only while nothing is said.
    const why = isServerFirst({ ...entry, port: 0 }) ? 'by its name or appProtocol' : 'by its number';
    const by = entry.serverFirst ? 'as its annotation says' : why;
    return [...notes, speaksFirst(port, by, settings.serverFirst)];
  }
  if (via?.listed) {
    const by = behindSays({ model, view }, address, port);
    if (via.listed.ports.includes(port))
      return [...notes, speaksFirst(port, by || 'by its number', settings.serverFirst)];
    if (by) notes.push(`on port ${port} the client speaks first (${by})`);
  }
  const through = via && wanted.backends.get(via.backend);
  if (!via || !through) return notes;
  if (through.endpoints.length === 0) {
    notes.push(`no endpoint of the waypoint is usable: ${via.unready === 'direct' ? 'past it' : 'refused'}`);
  }
  return notes;
}

function speaksFirst(port: number, why: string, otherwise: Otherwise): string {
  const what = otherwise === 'direct' ? 'past it by --server-first direct' : 'refused';
  return `the server speaks first on port ${port} (${why}): the waypoint would wait for the client's first bytes, so ${what}`;
}

/** What services say of a port that is dialled at a workload's own address; '' nothing. */
function behindSays({ model, view }: Pick<State, 'model' | 'view'>, address: string, port: number): string {
  let found: Workload | undefined;
  for (const workload of model.workloads.values()) {
    if (!workload.addresses.includes(address) || !waypointOfWorkload(workload, view)) continue;
    if (!found || workload.uid < found.uid) found = workload;
  }
  const known = found ? knownOfPort(model, view, found, port) : [];
  const first = known.some((one) => one.first);
  if (known.length === 0 || (!first && !serverFirstNumbers(view.waypoints?.serverFirstPorts).has(port))) return '';
  const by = known.filter((one) => one.first === first).map((one) => `port ${one.port} of service "${one.service}"`);
  return `by ${by.join(' and ')}, which leads there`;
}

function placeName(to: GatewayDestination): string {
  if (to.kind === 'hostname') return `${to.namespace}/${to.hostname}`;
  return to.kind === 'address' ? to.address : to.reason;
}

/** Of a waypoint that was told by its address alone: the one Gateway that says it is there. */
function gatewayAt({ gateways }: Model, { destination }: GatewayAddress): string | undefined {
  if (destination.kind === 'unusable') return undefined;
  const found: string[] = [];
  for (const [key, { addresses }] of gateways) if (addresses.some((one) => equal(one, destination))) found.push(key);
  return found.length === 1 ? found[0] : undefined;
}

/** The waypoint of the workloads behind a backend that stands for them. */
function behindOf(model: Model, backend: string): GatewayAddress[] {
  for (const workload of model.workloads.values()) {
    if (!workload.waypoint) continue;
    const ref = refOf([{ at: workload.waypoint, weight: 1 }]);
    if (ref && backend.startsWith(`workloads:${ref.name}`)) return [workload.waypoint];
  }
  return [];
}

function pick(c: Omit<Candidate, 'out'>): Omit<Candidate, 'out'> {
  const { workload, address, port, weight, probability } = c;
  return { workload, address, port, weight, probability };
}

/** What decided among the endpoints, for people. */
function rules(service: Service, view: NodeView): string[] {
  const { mode, scopes, healthPolicy } = service.loadBalancing;
  const where = localityText(view.locality);
  const notes = [`client on node "${view.node}", ${where === '' ? 'without a locality' : `locality "${where}"`}`];
  if (mode === 'strict') notes.push(`only endpoints with the same ${scopes.join(', ')} as the client`);
  if (mode === 'failover')
    notes.push(`endpoints that share the most of ${scopes.join(', ')} with the client come first`);
  if (mode === 'passthrough') notes.push('the service is not balanced: connections go where they were dialled');
  if (healthPolicy === 'allow-all') notes.push('unhealthy endpoints count too');
  if (service.locality && service.locality.distribute.length > 0) notes.push('shares are set by locality');
  if (service.locality && service.locality.failover.length > 0) notes.push('regions fail over as listed');
  return notes;
}

function notSeen(model: Model, address: string, namespace: string): string[] {
  const owners = [...(model.owners.get(address) ?? [])].sort();
  const who = namespace === '' ? 'a client whose namespace is not known' : `clients of namespace "${namespace}"`;
  return [`${who} cannot see the services here (${owners.join(', ')})`];
}

const networkName = (network: string): string => (network === '' ? 'no network' : `network "${network}"`);

function unknown({ model, view }: State, address: string): string[] {
  const notes: string[] = [];
  const elsewhere = (networks: readonly string[]) =>
    `in ${networks.map(networkName).join(', ')}, but this node is on ${networkName(view.network)}`;
  for (const key of [...(model.owners.get(address) ?? [])].sort()) {
    const service = model.services.get(key);
    if (!service) continue;
    const networks = service.addresses.filter((a) => addressText(a) === address).map((a) => a.network);
    const ports = service.ports.map((p) => `${p.protocol}/${p.port}`).join(', ') || 'no port';
    const why = networks.includes(view.network) ? `but answers only at ${ports}` : elsewhere(networks);
    notes.push(`service "${key}" has this address, ${why}`);
  }
  const there: string[] = [];
  model.workloads.forEach(({ uid, network, hostNetwork, addresses }) => {
    if (hostNetwork || !addresses.includes(address)) return;
    there.push(`workload "${uid}" ${network === view.network ? 'itself' : elsewhere([network])}`);
  });
  for (const who of there.sort()) notes.push(`the address is that of ${who}`);
  if (notes.length === 0) notes.push(`no service or workload has the address ${address}`);
  return notes;
}
