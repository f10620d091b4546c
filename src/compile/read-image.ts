// SPDX-License-Identifier: Apache-2.0
// The image from the pinned maps: what an earlier agent left, also one that was killed half-way.
import type { KeyOf, ValueOfMap } from '../abi/maps.ts';
import { type NameKind, nameKind } from '../abi/structs.ts';
import {
  type BackendImage,
  type CountedMap,
  countFrontend,
  eachIdOf,
  emptyIds,
  emptyImage,
  type IdTables,
  type Image,
  nameKinds,
  namespaceId,
} from './image.ts';
import { joinName, partCount, partCountOf } from './names.ts';
import type { DeleteOperation } from './operation.ts';
import { entriesAStep, type Pins, sizesOf } from './pins.ts';
import { readFrontends } from './read-frontends.ts';
import { readHeaders, readRanges, type UsableBackend } from './read-ranges.ts';

const kindOf = new Map<number, NameKind>(nameKinds.map((kind) => [nameKind[kind], kind]));

interface ReadNames {
  readonly bound: readonly (readonly [kind: NameKind, name: string, id: number])[];
  readonly stray: readonly DeleteOperation[];
}

/** Whole names; parts of one that was never finished, or half deleted, are strays. */
function* readNames(pins: Pins): Generator<undefined, ReadNames> {
  const bound: [NameKind, string, number][] = [];
  const stray: DeleteOperation[] = [];
  const parted = new Map<string, { key: KeyOf<'name'>; parts: (ValueOfMap<'name'> | undefined)[] }>();
  let seen = 0;
  for (const [key, value] of pins.map('name').entries()) {
    if (++seen % entriesAStep === 0) yield;
    const kind = kindOf.get(key.kind);
    if (kind !== undefined && key.part === 0 && partCount(value.length) === 1) {
      const name = joinName([value]);
      if (name !== undefined) {
        bound.push([kind, name, key.id]);
        continue;
      }
    }
    const group = `${key.kind}/${key.id}`;
    let found = parted.get(group);
    if (!found) {
      found = { key, parts: [] };
      parted.set(group, found);
    }
    found.parts[key.part] = value;
  }
  for (const { key, parts } of parted.values()) {
    const kind = kindOf.get(key.kind);
    const name = kind && joinName(parts);
    if (kind && name !== undefined) {
      bound.push([kind, name, key.id]);
      continue;
    }
    for (const part of parts.keys()) {
      if (parts[part])
        stray.push({ kind: 'delete', map: 'name', key: { ...key, part }, about: `part of a name, id ${key.id}` });
    }
  }
  return { bound, stray };
}

/** Binds what it can: of two ids with one name only the first. */
function bindNames(ids: IdTables, names: ReadNames): { readonly stray: DeleteOperation[]; readonly entries: number } {
  const stray = [...names.stray];
  // Their ids are not handed out before the strays are gone, or a new name would go with them.
  for (const { map, key } of names.stray) {
    const kind = map === 'name' ? kindOf.get(key.kind) : undefined;
    if (kind && map === 'name') ids[kind].reserve(key.id);
  }
  let entries = 0;
  for (const [kind, name, id] of names.bound) {
    const parts = partCountOf(name);
    if (ids[kind].bind(name, id)) {
      entries += parts;
      continue;
    }
    for (let part = 0; part < parts; part++) {
      const key = { id, kind: nameKind[kind], part };
      ids[kind].reserve(id);
      stray.push({ kind: 'delete', map: 'name', key, about: `${kind} "${name}" a second time, id ${id}` });
    }
  }
  return { stray, entries };
}

function backendImageOf(image: Image, id: number, found: UsableBackend | undefined): BackendImage {
  if (!found) {
    const none = { service: '', first: 0, generation: 0, maglevFirst: 0, maglevSlots: 0, serviceId: 0 };
    return { id, ...none, workloadIds: [], wanted: undefined, read: undefined };
  }
  const { header, first, endpoints } = found;
  return {
    id,
    service: image.ids.service.nameOf(header.service_id) as string,
    first,
    generation: header.generation,
    maglevFirst: header.maglev_first,
    maglevSlots: found.maglevSlots,
    serviceId: header.service_id,
    workloadIds: endpoints.map((e) => e.workload_id),
    wanted: undefined,
    read: { header, endpoints, indexes: found.indexes },
  };
}

function readBackends(
  image: Image,
  usable: ReadonlyMap<number, UsableBackend>,
  ids: Iterable<number>,
): DeleteOperation[] {
  const stray: DeleteOperation[] = [];
  for (const id of ids) {
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
    image.generation = Math.max(image.generation, backend.generation);
  }
  return stray;
}

function readClients(pins: Pins, image: Image): DeleteOperation[] {
  const stray: DeleteOperation[] = [];
  for (const [id, value] of pins.map('client').entries()) {
    const workload = image.ids.workload.nameOf(id);
    const namespace = value.namespace_id === 0 ? '' : image.ids.namespace.nameOf(value.namespace_id);
    if (workload === undefined) {
      stray.push({ kind: 'delete', map: 'client', key: id, about: `client id ${id} without a name` });
      image.ids.workload.reserve(id);
      continue;
    }
    image.counts.client++;
    image.ids.workload.refer(id);
    // A namespace that is not known differs from any that is wanted: the entry is written again.
    if (namespace === undefined) image.ids.namespace.reserve(value.namespace_id);
    else if (value.namespace_id !== 0) image.ids.namespace.refer(value.namespace_id);
    image.clients.set(workload, {
      workload,
      namespace: namespace ?? unknownNamespace,
      address4: value.addr4,
      address6: value.addr6,
    });
  }
  return stray;
}

/** No namespace is called so. */
export const unknownNamespace = '?';

/** Generations that a backend removed before may have had: none of them is used again. */
const generationGap = 4096;

/**
 * The picture of `pins`, in steps (each `yield` is a place to pause). Names without users and ranges that no backend refers to are free or
 * become so; a backend whose range makes no sense counts as absent and is written again; what nothing explains is listed as stray.
 * Nothing may write meanwhile, and a grace period must have passed since the last write.
 */
export function* readImage(pins: Pins): Generator<undefined, Image> {
  const names = yield* readNames(pins);
  const sizes = sizesOf(pins);
  const ids = emptyIds(sizes);
  const { stray, entries } = bindNames(ids, names);
  yield;
  const backendIds: number[] = [];
  const headers = yield* readHeaders(pins, sizes, (id) => backendIds.push(id));
  const { usable, endpointRanges, maglevRanges } = yield* readRanges(pins, headers, sizes, ids);
  const image = emptyImage(sizes, { ids, endpointRanges, maglevRanges });
  image.counts.name = entries;
  stray.push(...readBackends(image, usable, backendIds));
  yield;
  const read = yield* readFrontends(pins, image);
  for (const [key, frontend] of read.frontends) {
    image.frontends.set(key, frontend);
    countFrontend(image, frontend, 1);
    for (const namespace of frontend.variants.keys()) {
      const id = namespaceId(image.ids.namespace, namespace);
      if (id) image.ids.namespace.refer(id);
    }
  }
  stray.push(...read.stray, ...readClients(pins, image));
  image.stray = stray;
  for (const { map } of stray) if (map in image.counts) image.counts[map as CountedMap]++;
  image.generation += generationGap;
  for (const [, value] of pins.map('setting').entries()) image.setting = value;
  for (const kind of nameKinds) for (const [, id] of image.ids[kind].names()) image.ids[kind].retire(id);
  return image;
}

/** The picture of `pins`, read at once. */
export function imageOf(pins: Pins): Image {
  const steps = readImage(pins);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
