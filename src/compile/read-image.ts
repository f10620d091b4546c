// SPDX-License-Identifier: Apache-2.0
// The image from the pinned maps: what an earlier agent left, also one that was killed half-way.
import type { KeyOf, ValueOfMap } from '../abi/maps.ts';
import { clientFlag, type NameKind, nameKind, portFlag, protocolNumber } from '../abi/structs.ts';
import type { Steps } from '../mesh/steps.ts';
import { socketAddressText } from '../net/socket-address.ts';
import { readAuthz } from './authz/read-image.ts';
import {
  type BackendImage,
  countFrontend,
  countVia,
  eachIdOf,
  emptyIds,
  emptyImage,
  type IdTables,
  type Image,
  nameKinds,
  namespaceId,
} from './image.ts';
import type { CountedMap } from './limited-maps.ts';
import { joinName, partCount } from './names.ts';
import type { DeleteOperation } from './operation.ts';
import { eachEntry, entriesAStep, type Pins, sizesOf } from './pins.ts';
import { readFrontends } from './read-frontends.ts';
import { readHeaders, readRanges, type UsableBackend } from './read-ranges.ts';
import { identityIn, serviceTlvsOf, tells } from './tlvs.ts';

const kindOf = new Map<number, NameKind>(nameKinds.map((kind) => [nameKind[kind], kind]));

interface ReadNames {
  readonly stray: DeleteOperation[];
  /** Entries of the names that were bound. */
  readonly entries: number;
}

/**
 * Binds all whole names; parts of one that was never finished or half deleted are strays, and so is the second of two ids with one name.
 * Ids of strays are reserved: handed out before the strays are gone, a new name would go with them.
 */
function* readNames(pins: Pins, ids: IdTables): Steps<ReadNames> {
  const stray: DeleteOperation[] = [];
  const parted = new Map<string, { key: KeyOf<'name'>; parts: (ValueOfMap<'name'> | undefined)[] }>();
  let entries = 0;
  const bind = (key: KeyOf<'name'>, parts: readonly (ValueOfMap<'name'> | undefined)[]): void => {
    const kind = kindOf.get(key.kind);
    const name = kind && joinName(parts);
    if (kind && name !== undefined && ids[kind].bind(name, key.id)) {
      entries += parts.length;
      return;
    }
    if (kind) ids[kind].reserve(key.id);
    const about = name === undefined ? `part of a name, id ${key.id}` : `"${name}" a second time, id ${key.id}`;
    for (const part of parts.keys()) {
      if (parts[part]) stray.push({ kind: 'delete', map: 'name', key: { ...key, part }, about });
    }
  };
  yield* eachEntry(pins, 'name', (key, value) => {
    if (key.part === 0 && partCount(value.length) === 1) {
      bind(key, [value]);
      return;
    }
    const group = `${key.kind}/${key.id}`;
    const found = parted.get(group);
    if (found) found.parts[key.part] = value;
    else {
      const parts: ValueOfMap<'name'>[] = [];
      parts[key.part] = value;
      parted.set(group, { key, parts });
    }
  });
  let seen = 0;
  for (const { key, parts } of parted.values()) {
    bind(key, parts);
    if (++seen % entriesAStep === 0) yield;
  }
  return { stray, entries };
}

function backendImageOf(image: Image, id: number, found: UsableBackend | undefined): BackendImage {
  if (!found) {
    const none = { service: '', first: 0, generation: 0, maglevFirst: 0, maglevSlots: 0, serviceId: 0, viaId: 0 };
    return { id, ...none, listed: 0, workloadIds: [], wanted: undefined, read: undefined };
  }
  const { header, first, slot, via, listed } = found;
  return {
    id,
    service: image.ids.service.nameOf(header.service_id) as string,
    first,
    generation: header.generation,
    maglevFirst: header.maglev_first,
    maglevSlots: found.maglevSlots,
    serviceId: header.service_id,
    workloadIds: Array.from({ length: header.count }, (_, i) => slot(i).workload_id),
    viaId: via?.backend_id ?? 0,
    listed: listed.length,
    wanted: undefined,
    read: { header, slot, indexes: found.indexes, via, listed },
  };
}

function* readBackends(
  image: Image,
  usable: ReadonlyMap<number, UsableBackend>,
  ids: Iterable<number>,
): Steps<readonly DeleteOperation[]> {
  const stray: DeleteOperation[] = [];
  let seen = 0;
  for (const id of ids) {
    if (++seen % entriesAStep === 0) yield;
    const name = image.ids.backend.nameOf(id);
    if (name === undefined) {
      stray.push({ kind: 'delete', map: 'backend', key: id, about: `backend id ${id} without a name` });
      image.ids.backend.reserve(id);
      continue;
    }
    const found = usable.get(id);
    const backend = backendImageOf(image, id, found);
    image.backends.set(name, backend);
    eachIdOf(backend, (kind, used) => image.ids[kind].refer(used));
    countVia(image, backend, 1);
    image.generation = Math.max(image.generation, backend.generation);
  }
  return stray;
}

/** What waypoints are told of services. An entry that says something else counts as absent; one that nobody needs is stray. */
function* readTold(pins: Pins, image: Image): Steps<readonly DeleteOperation[]> {
  const stray: DeleteOperation[] = [];
  yield* eachEntry(pins, 'waypoint_service', (id, value) => {
    const service = image.ids.service.nameOf(id);
    const told = service === undefined ? undefined : image.told.get(service);
    if (service === undefined || !told) {
      if (service === undefined) image.ids.service.reserve(id);
      stray.push({
        kind: 'delete',
        map: 'waypoint_service',
        key: id,
        about: `what waypoints are told of service id ${id}`,
      });
      return;
    }
    if (value.id !== id || !tells(value, serviceTlvsOf(service))) return;
    image.counts.waypoint_service++;
    image.told.set(service, { ...told, written: true });
  });
  return stray;
}

function* readClients(pins: Pins, image: Image): Steps<readonly DeleteOperation[]> {
  const stray: DeleteOperation[] = [];
  const identities = new Map<number, string>();
  yield* eachEntry(pins, 'waypoint_client', (id, value) => {
    identities.set(id, value.id === id ? identityIn(value) : unknownNamespace);
  });
  yield* eachEntry(pins, 'client', (id, value) => {
    const workload = image.ids.workload.nameOf(id);
    const namespace = value.namespace_id === 0 ? '' : image.ids.namespace.nameOf(value.namespace_id);
    if (workload === undefined) {
      stray.push({ kind: 'delete', map: 'client', key: id, about: `client id ${id} without a name` });
      image.ids.workload.reserve(id);
      return;
    }
    image.counts.client++;
    image.ids.workload.refer(id);
    // A namespace that is not known differs from any that is wanted: the entry is written again.
    if (namespace === undefined) image.ids.namespace.reserve(value.namespace_id);
    else if (value.namespace_id !== 0) image.ids.namespace.refer(value.namespace_id);
    const identity = identities.get(id) ?? '';
    if (identities.delete(id)) image.counts.waypoint_client++;
    image.clients.set(workload, {
      identity,
      workload,
      namespace: namespace ?? unknownNamespace,
      address4: value.addr4,
      address6: value.addr6,
      ...((value.flags & clientFlag.node) !== 0 && { hostNetwork: true }),
    });
  });
  for (const id of identities.keys()) {
    if (image.ids.workload.nameOf(id) === undefined) image.ids.workload.reserve(id);
    stray.push({ kind: 'delete', map: 'waypoint_client', key: id, about: `identity of client id ${id}` });
  }
  return stray;
}

/** Ports of waypoints. */
function* readPorts(pins: Pins, image: Image): Steps<readonly DeleteOperation[]> {
  const stray: DeleteOperation[] = [];
  yield* eachEntry(pins, 'waypoint_port', (key, flags) => {
    if (key.protocol !== protocolNumber.tcp) {
      stray.push({ kind: 'delete', map: 'waypoint_port', key, about: `waypoint port of protocol ${key.protocol}` });
      return;
    }
    const address = key.addr || '::';
    const text = socketAddressText(address, key.port);
    image.counts.waypoint_port++;
    image.ports.set(text, { key: text, address, port: key.port, node: (flags & portFlag.node) !== 0 });
  });
  return stray;
}

/** No namespace is called so. */
const unknownNamespace = '?';

/** When nobody knows which generation was given out last: backends that were removed may have had so many beyond those that are left. */
const generationGap = 4096;

/**
 * The picture of `pins`, in steps (each `yield` is a place to pause). Names without users and ranges that no backend refers to are free or
 * become so; a backend whose range makes no sense counts as absent and is written again; what nothing explains is listed as stray.
 * Nothing may write meanwhile, and a grace period must have passed since the last write. `generation` is the one given out last, if it is known.
 */
export function* readImage(pins: Pins, generation?: number): Steps<Image> {
  const sizes = sizesOf(pins);
  const ids = emptyIds(sizes);
  const names = yield* readNames(pins, ids);
  const backendIds: number[] = [];
  const headers = yield* readHeaders(pins, sizes, (id) => backendIds.push(id));
  const { usable, endpointRanges, maglevRanges } = yield* readRanges(pins, headers, sizes, ids);
  const authz = yield* readAuthz(pins, ids, sizes);
  const image = emptyImage(sizes, { ids, endpointRanges, maglevRanges, authz });
  image.counts.name = names.entries;
  const strayBackends = yield* readBackends(image, usable, backendIds);
  const read = yield* readFrontends(pins, image);
  let seen = 0;
  for (const [key, frontend] of read.frontends) {
    if (++seen % entriesAStep === 0) yield;
    image.frontends.set(key, frontend);
    countFrontend(image, frontend, 1);
    for (const namespace of frontend.variants.keys()) {
      const id = namespaceId(image.ids.namespace, namespace);
      if (id) image.ids.namespace.refer(id);
    }
  }
  const strayTold = yield* readTold(pins, image);
  const strayClients = yield* readClients(pins, image);
  const strayPorts = yield* readPorts(pins, image);
  image.stray = [...names.stray, ...strayBackends, ...read.stray, ...strayTold, ...strayClients, ...strayPorts];
  for (const { map } of image.stray) if (map in image.counts) image.counts[map as CountedMap]++;
  image.generation =
    generation === undefined ? image.generation + generationGap : Math.max(image.generation, generation);
  yield* eachEntry(pins, 'setting', (_, value) => {
    image.setting = value;
  });
  for (const kind of nameKinds) {
    for (const [, id] of image.ids[kind].names()) {
      image.ids[kind].retire(id);
      if (++seen % entriesAStep === 0) yield;
    }
  }
  return image;
}
