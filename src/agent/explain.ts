// SPDX-License-Identifier: Apache-2.0
// What the model says of a connection: which service answers, who could serve it, and why the others do not.
import type { ExplainQuery } from '../admin/routes.ts';
import type { Candidate, ModelExplanation } from '../admin/types.ts';
import { candidates } from '../compile/backend.ts';
import { lookup } from '../compile/lookup.ts';
import type { Wanted } from '../compile/wanted.ts';
import { KmeshError } from '../errors.ts';
import { localityText } from '../mesh/locality.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import type { Service } from '../mesh/service.ts';
import { isV4, parseAddress } from '../net/address.ts';
import { socketAddressText } from '../net/socket-address.ts';

/** @throws KmeshError KM_USAGE when the address is none; KM_NOT_FOUND when the client's workload is not in the model. */
export function explainByModel(
  state: { readonly model: Model; readonly view: NodeView; readonly wanted: Wanted },
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
  if (!backend) {
    const notes = found ? notSeen(model, address, namespace) : unknown(model, address, query);
    return { ...base, service: '', backend: '', candidates: [], notes };
  }
  const service = model.services.get(backend.service);
  const family = isV4(address) ? 4 : 6;
  return {
    ...base,
    service: backend.service,
    backend: backend.name,
    candidates: candidates(model, view, backend.service, port, protocol, family).map(
      (c): Candidate =>
        c.in
          ? { ...pick(c), out: '' }
          : { workload: c.workload, address: '', port: 0, weight: 0, probability: 0, out: c.reason },
    ),
    notes: service ? rules(service, view) : [],
  };
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
  return [`${who} cannot see the services here (${owners.join(', ')}): the destination is left alone`];
}

function unknown(model: Model, address: string, query: ExplainQuery): string[] {
  const notes: string[] = [];
  for (const key of [...(model.owners.get(address) ?? [])].sort()) {
    const ports = model.services.get(key)?.ports.map((p) => `${p.protocol}/${p.port}`) ?? [];
    notes.push(`service "${key}" has this address, but answers only at ${ports.join(', ') || 'no port'}`);
  }
  const there: string[] = [];
  model.workloads.forEach(({ uid, hostNetwork, addresses }) => {
    if (!hostNetwork && addresses.includes(address)) there.push(uid);
  });
  for (const uid of there.sort()) {
    notes.push(`the address is that of workload "${uid}" itself`);
  }
  if (notes.length === 0) notes.push(`no service or workload has the address ${address}`);
  notes.push(`${query.protocol}/${socketAddressText(address, query.port)} is left alone`);
  return notes;
}
