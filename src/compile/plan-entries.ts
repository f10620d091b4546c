// SPDX-License-Identifier: Apache-2.0
// The operations of one backend, one frontend, one client.
import { frontendTag, variantTag } from '../abi/hash.ts';
import type { KeyOf } from '../abi/maps.ts';
import { backendVariant, clientFlag, protocolNumber } from '../abi/structs.ts';
import { type BackendImage, type FrontendImage, throughVariants } from './image.ts';
import type { PlanDraft } from './plan-draft.ts';
import { headerOf, type IdsOf, layOut, maglevSlots, viaSlotOf, viaSlots } from './range-layout.ts';
import { prefixBits } from './read-frontends.ts';
import { clientTlvsOf } from './tlvs.ts';
import type { WantedBackend, WantedClient, WantedEndpoint, WantedFrontend } from './wanted.ts';
import { isWaypoint } from './waypoint.ts';

/** Claims the ids of workloads for one unit. The ports of a service have the same ones, as a rule: those are looked up once. */
export function claimingWorkloads(draft: PlanDraft): IdsOf {
  let last: readonly WantedEndpoint[] = [];
  let ids: readonly number[] = [];
  return (list) => {
    const same = list.length === last.length && list.every((e, i) => e.workload === last[i]?.workload);
    if (!same) ids = list.map((e) => draft.claim('workload', e.workload));
    last = list;
    return ids;
  };
}

/** A new range for `wanted` and the flip to it; what backend[id] named before stays as it is. */
export function planBackend(
  draft: PlanDraft,
  wanted: WantedBackend,
  have: BackendImage | undefined,
  idsOf: IdsOf,
): void {
  const about = `backend ${wanted.name}`;
  const serviceId = draft.claim('service', wanted.service);
  const id = draft.claim('backend', wanted.name);
  const layout = layOut(wanted, idsOf);
  const { indexes, workloadIds } = layout;
  const places = maglevSlots(indexes.length);
  const maglevFirst = places === 0 ? 0 : draft.allocate('maglev', places);
  const viaId = wanted.via ? (draft.ids.backend.idOf(wanted.via.backend) as number) : 0;
  const via = wanted.via && viaSlotOf(wanted.via, viaId);
  const first = draft.allocate('endpoint', workloadIds.length + 1 + viaSlots(wanted.via));
  const generation = draft.generation();
  const { maglev, endpoint } = draft.ops;
  const flip = isWaypoint(wanted.name) ? draft.ops.waypointFlip : draft.ops.flip;
  if (places > 0) maglev.push({ kind: 'table', first: maglevFirst, indexes, about });
  const header = headerOf(wanted, { id, generation, serviceId, maglevFirst, indexes: indexes.length });
  const listed = wanted.via?.listed?.ports ?? [];
  endpoint.push({ kind: 'range', first, layout, header, via, listed, about });
  flip.push({ kind: 'put', map: 'backend', key: id, value: { first, generation }, about });
  draft.backends.push({
    key: wanted.name,
    have,
    next: {
      id,
      service: wanted.service,
      first,
      generation,
      maglevFirst,
      maglevSlots: places,
      serviceId,
      workloadIds,
      viaId,
      listed: listed.length,
      wanted,
      read: undefined,
    },
  });
}

/** backend[id] to zero. */
export function planBackendOut(draft: PlanDraft, name: string, have: BackendImage): void {
  draft.ops.backendOut.push({ kind: 'delete', map: 'backend', key: have.id, about: `backend ${name}` });
  draft.backends.push({ key: name, have, next: undefined });
}

const noVariants: ReadonlyMap<string, string> = new Map();

/** What the maps should hold for a wanted frontend. */
export function frontendImageOf(wanted: WantedFrontend): FrontendImage {
  const single = typeof wanted.backend === 'string';
  return {
    protocol: wanted.protocol,
    address: wanted.address,
    length: wanted.length,
    port: wanted.port,
    backend: single ? (wanted.backend as string) : throughVariants,
    variants: single ? noVariants : (wanted.backend as ReadonlyMap<string, string>),
  };
}

function sameVariants(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [namespace, name] of a) if (b.get(namespace) !== name) return false;
  return true;
}

/** True when the maps hold for a frontend what they should. */
export function sameFrontendImage(a: FrontendImage, b: FrontendImage): boolean {
  return a.backend === b.backend && sameVariants(a.variants, b.variants);
}

type Place = Pick<FrontendImage, 'protocol' | 'address' | 'length' | 'port'>;

function exactKey({ address, port, protocol }: Place): KeyOf<'frontend'> {
  return { addr: address, port, protocol: protocolNumber[protocol] };
}

function cidrKey(place: Place, length: number): KeyOf<'cidr'> {
  return { ...exactKey(place), prefixlen: 32 + prefixBits(place.address, length) };
}

function variantKey(place: Place, namespace_id: number): KeyOf<'variant'> {
  const prefix = place.length === undefined ? 0 : prefixBits(place.address, place.length);
  return { ...exactKey(place), prefix, namespace_id };
}

function othersLast(variants: ReadonlyMap<string, string>): (readonly [namespace: string, backend: string])[] {
  return [...variants].sort(([a], [b]) => Number(a === '') - Number(b === ''));
}

/** Puts and deletes that turn `have` into `next`. Variants are there before anything leads to them, and leave after it. */
export function planFrontend(
  draft: PlanDraft,
  key: string,
  have: FrontendImage | undefined,
  next: FrontendImage | undefined,
): void {
  const about = `frontend ${key}`;
  const place = (next ?? have) as Place;
  const { ops } = draft;
  const idOf = (backend: string): number => draft.ids.backend.idOf(backend) as number;
  const namespaceId = (namespace: string): number => (namespace === '' ? 0 : draft.claim('namespace', namespace));

  // The entry for the others comes after all named ones and goes before them: nobody is ever taken for the others in between.
  for (const [namespace, backend] of othersLast(next?.variants ?? noVariants)) {
    const held = have?.variants.get(namespace);
    if (held === backend) continue;
    if (held === undefined) draft.count('variant');
    const k = variantKey(place, namespaceId(namespace));
    const value = { backend_id: idOf(backend), tag: variantTag(k) };
    ops.variant.push({ kind: 'put', map: 'variant', key: k, value, about: `${about} for namespace "${namespace}"` });
  }

  if (next?.backend !== undefined && next.backend !== have?.backend) {
    const backend_id = next.backend === throughVariants ? backendVariant : idOf(next.backend);
    if (place.length === undefined) {
      if (have?.backend === undefined) draft.count('frontend');
      const k = exactKey(place);
      ops.frontend.push({ kind: 'put', map: 'frontend', key: k, value: { backend_id, tag: frontendTag(k) }, about });
    } else {
      if (have?.backend === undefined) draft.count('cidr');
      const value = { backend_id, tag: prefixBits(place.address, place.length) };
      ops.cidr.push({ kind: 'put', map: 'cidr', key: cidrKey(place, place.length), value, about });
    }
  } else if (next?.backend === undefined && have?.backend !== undefined) {
    if (place.length === undefined) {
      ops.frontendOut.push({ kind: 'delete', map: 'frontend', key: exactKey(place), about });
    } else {
      ops.frontendOut.push({ kind: 'delete', map: 'cidr', key: cidrKey(place, place.length), about });
    }
  }

  for (const [namespace] of othersLast(have?.variants ?? noVariants).reverse()) {
    if (next?.variants.has(namespace)) continue;
    const k = variantKey(place, namespaceId(namespace));
    ops.variantOut.push({ kind: 'delete', map: 'variant', key: k, about: `${about} for namespace "${namespace}"` });
  }
  draft.frontends.push({ key, have, next });
}

/** The entry of a workload of this node, or its end. */
export function planClient(
  draft: PlanDraft,
  workload: string,
  have: WantedClient | undefined,
  next: WantedClient | undefined,
): void {
  const about = `client ${workload}`;
  const id = draft.claim('workload', workload);
  if (next) {
    if (!have) draft.count('client');
    const namespace_id = next.namespace === '' ? 0 : draft.claim('namespace', next.namespace);
    const value = {
      addr4: next.address4,
      addr6: next.address6,
      namespace_id,
      flags: next.hostNetwork ? clientFlag.node : 0,
    };
    draft.ops.client.push({ kind: 'put', map: 'client', key: id, value, about });
    if (next.identity !== '' && next.identity !== have?.identity) {
      if (!have?.identity) draft.count('waypoint_client');
      const tlvs = clientTlvsOf(next.identity);
      const told = { id, length: tlvs.length, tlvs };
      draft.ops.client.push({ kind: 'put', map: 'waypoint_client', key: id, value: told, about });
    }
  } else {
    draft.ops.clientOut.push({ kind: 'delete', map: 'client', key: id, about });
  }
  if (have?.identity && !next?.identity) {
    draft.ops.clientOut.push({ kind: 'delete', map: 'waypoint_client', key: id, about });
  }
  draft.clients.push({ key: workload, have, next });
}
