// SPDX-License-Identifier: Apache-2.0
// The object files: where they are, what is in them, and getting their programs and maps into the kernel.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type MapName, maps } from '../abi/maps.ts';
import { KmeshError } from '../errors.ts';
import { type Btf, btfSection, parseBtf } from './btf.ts';
import { checkLayouts, checkMap, type MapShape, mapLayout } from './layout-check.ts';
import { failure, libbpf, type Pointer, type Printed } from './libbpf.ts';
import { isSizable, type MapSizes } from './sizes.ts';
import { loadFault } from './verifier-log.ts';

/** Read for its types only: one of each shared struct (bpf/abi_check.bpf.c). */
const typesOnly = 'abi_check.bpf.o';
const suffix = '.bpf.o';

/** A map as the object files declare it, with the entries asked for. */
export interface DeclaredMap extends MapShape {
  readonly name: MapName;
  readonly flags: number;
  readonly maxEntries: number;
  /** Keys and values as text (mapLayout). */
  readonly layout: string;
}

export interface DeclaredProgram {
  readonly name: string;
  readonly section: string;
  /** File that it comes from. */
  readonly object: string;
}

export interface LoadedProgram extends DeclaredProgram {
  /** Valid until the objects are closed. */
  readonly fd: number;
  /** enum bpf_attach_type */
  readonly attachType: number;
}

export interface Objects {
  readonly maps: ReadonlyMap<MapName, DeclaredMap>;
  readonly programs: readonly DeclaredProgram[];
  /** Hex; differs when any byte of any object does. */
  readonly hash: string;
  /**
   * Creates the maps, save those in `held` (descriptors to be shared), and loads every program through the verifier.
   * KM_LOAD carries the telling lines, and the whole log as detail.
   */
  load(held: ReadonlyMap<MapName, number>): LoadedPrograms;
  /** The same with the verifier on another thread, so that the event loop goes on. */
  loadLater(held: ReadonlyMap<MapName, number>): Promise<LoadedPrograms>;
  close(): void;
}

export interface LoadedPrograms {
  readonly programs: readonly LoadedProgram[];
  /** Descriptors, valid until the objects are closed. */
  readonly maps: ReadonlyMap<MapName, number>;
}

interface OpenObject {
  readonly file: string;
  readonly object: Pointer;
  readonly btf: Btf;
}

/** True for iterators: pinned as programs, linked on demand. */
export function isIterator(program: DeclaredProgram): boolean {
  return program.section.startsWith('iter/');
}

/** dist/bpf of this installation: beside the bundle, or above the sources. */
export function objectFolder(): string {
  let at = dirname(fileURLToPath(import.meta.url));
  for (let i = 0; i < 4; i++, at = dirname(at)) {
    for (const folder of [join(at, 'bpf'), join(at, 'dist', 'bpf')]) {
      if (existsSync(folder) && readdirSync(folder).some((name) => name.endsWith(suffix))) return folder;
    }
  }
  throw new KmeshError('KM_LOAD', 'the object files (dist/bpf/*.bpf.o) were not found', { hint: 'npm run build' });
}

function* chain(next: (after: Pointer) => Pointer): Generator<Pointer> {
  for (let at = next(null); at; at = next(at)) yield at;
}

const isMapName = (name: string): name is MapName => Object.hasOwn(maps, name);

function declaredMap(map: Pointer, name: MapName, file: OpenObject): DeclaredMap {
  const bpf = libbpf();
  const shape = {
    type: bpf.bpf_map__type(map),
    keySize: bpf.bpf_map__key_size(map),
    valueSize: bpf.bpf_map__value_size(map),
  };
  const key = bpf.bpf_map__btf_key_type_id(map);
  const value = bpf.bpf_map__btf_value_type_id(map);
  checkMap(name, shape, file.btf, key, value);
  return {
    name,
    ...shape,
    flags: bpf.bpf_map__map_flags(map),
    maxEntries: bpf.bpf_map__max_entries(map),
    layout: mapLayout(name, file.btf, key, value),
  };
}

function openObject(folder: string, name: string, data: Uint8Array): OpenObject {
  const path = join(folder, name);
  const btf = parseBtf(btfSection(data, path));
  const { result, text } = libbpf().printed(() => libbpf().bpf_object__open_file(path, null));
  if (!result) throw new KmeshError('KM_LOAD', `"${path}" could not be opened: ${failure(-1)}`, { detail: text });
  return { file: name, object: result, btf };
}

/** Sets sizes on the maps of one object and collects what it declares. */
function declare(file: OpenObject, sizes: MapSizes, found: Map<MapName, DeclaredMap>): void {
  const bpf = libbpf();
  for (const map of chain((after) => bpf.bpf_object__next_map(file.object, after))) {
    const name = bpf.bpf_map__name(map);
    if (bpf.bpf_map__is_internal(map)) continue;
    if (!isMapName(name)) throw new KmeshError('KM_LAYOUT', `map "${name}" of ${file.file} is not in the table`);
    const entries = sizes[name];
    if (entries !== undefined && isSizable(name)) bpf.bpf_map__set_max_entries(map, entries);
    const declared = declaredMap(map, name, file);
    const before = found.get(name);
    if (before && JSON.stringify(before) !== JSON.stringify(declared)) {
      throw new KmeshError('KM_LAYOUT', `map "${name}" is declared differently in ${file.file}`);
    }
    found.set(name, declared);
  }
}

/** Hands the maps that exist already to one object. */
function shareMaps({ object }: OpenObject, shared: ReadonlyMap<MapName, number>): void {
  const bpf = libbpf();
  for (const map of chain((after) => bpf.bpf_object__next_map(object, after))) {
    const name = bpf.bpf_map__name(map);
    const fd = isMapName(name) ? shared.get(name) : undefined;
    if (fd === undefined) continue;
    const answer = bpf.bpf_map__reuse_fd(map, fd);
    if (answer < 0) throw new KmeshError('KM_LOAD', `map "${name}" could not be shared: ${failure(answer)}`);
  }
}

/** Collects what loading one object has made. */
function loadedFrom(
  file: OpenObject,
  { result, text }: Printed<number>,
  shared: Map<MapName, number>,
): LoadedProgram[] {
  const bpf = libbpf();
  if (result < 0) throw loadFault(file.file, failure(result), text);
  for (const map of chain((after) => bpf.bpf_object__next_map(file.object, after))) {
    const name = bpf.bpf_map__name(map);
    if (isMapName(name) && !shared.has(name)) shared.set(name, bpf.bpf_map__fd(map));
  }
  return [...chain((after) => bpf.bpf_object__next_program(file.object, after))].map((program) => ({
    name: bpf.bpf_program__name(program),
    section: bpf.bpf_program__section_name(program),
    object: file.file,
    fd: bpf.bpf_program__fd(program),
    attachType: bpf.bpf_program__expected_attach_type(program),
  }));
}

/**
 * Opens every object of `folder` and compares structs, reasons and maps with src/abi: KM_LAYOUT names the first difference.
 * Touches no kernel state: needs no root.
 */
export function openObjects(folder: string = objectFolder(), sizes: MapSizes = {}): Objects {
  const bpf = libbpf();
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(suffix))
    .sort();
  if (names.length === 0) throw new KmeshError('KM_LOAD', `no object files in "${folder}"`, { hint: 'npm run build' });
  const hash = createHash('sha256');
  const opened: OpenObject[] = [];
  const types: Btf[] = [];
  const close = () => {
    for (const { object } of opened.splice(0)) bpf.bpf_object__close(object);
  };
  try {
    const declared = new Map<MapName, DeclaredMap>();
    for (const name of names) {
      const data = readFileSync(join(folder, name));
      hash.update(`${basename(name)}\0`).update(data);
      if (name === typesOnly) {
        types.push(parseBtf(btfSection(data, name)));
        continue;
      }
      const file = openObject(folder, name, data);
      opened.push(file);
      types.push(file.btf);
    }
    checkLayouts(types);
    for (const file of opened) declare(file, sizes, declared);
    const programs = opened.flatMap(({ object, file }) =>
      [...chain((after) => bpf.bpf_object__next_program(object, after))].map((program) => ({
        name: bpf.bpf_program__name(program),
        section: bpf.bpf_program__section_name(program),
        object: file,
      })),
    );
    return {
      maps: declared,
      programs,
      hash: hash.digest('hex').slice(0, 16),
      load(held) {
        const shared = new Map(held);
        const loaded = opened.flatMap((file) => {
          shareMaps(file, shared);
          return loadedFrom(
            file,
            bpf.printed(() => bpf.bpf_object__load(file.object)),
            shared,
          );
        });
        return { programs: loaded, maps: shared };
      },
      async loadLater(held) {
        const shared = new Map(held);
        const loaded: LoadedProgram[] = [];
        for (const file of opened) {
          shareMaps(file, shared);
          loaded.push(...loadedFrom(file, await bpf.printedLater(() => bpf.loadLater(file.object)), shared));
        }
        return { programs: loaded, maps: shared };
      },
      close,
    };
  } catch (cause) {
    close();
    throw cause;
  }
}
