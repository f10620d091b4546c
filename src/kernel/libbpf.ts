// SPDX-License-Identifier: Apache-2.0
// libbpf.so.1 through koffi (libc.ts has the rest of what is foreign). Nothing is loaded before the first use.
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { KmeshError } from '../errors.ts';
import { errnoName } from './map-error.ts';
import { once } from './once.ts';

/** An address in C: an object, a program, a map of libbpf. null is NULL. */
export type Pointer = bigint | null;
type Bytes = Uint8Array | null;

/** libbpf calls in their C names. Those that answer int give -errno on failure, file descriptors and ids otherwise. */
interface BpfCalls {
  libbpf_version_string(): string;
  libbpf_probe_bpf_map_type(type: number, opts: null): number;
  libbpf_num_possible_cpus(): number;
  /** Id of a kernel function in vmlinux BTF, by name and enum bpf_attach_type. */
  libbpf_find_vmlinux_btf_id(name: string, attachType: number): number;
  bpf_object__open_file(path: string, opts: null): Pointer;
  bpf_object__load(object: Pointer): number;
  bpf_object__close(object: Pointer): void;
  bpf_object__next_program(object: Pointer, after: Pointer): Pointer;
  bpf_object__next_map(object: Pointer, after: Pointer): Pointer;
  bpf_program__name(program: Pointer): string;
  bpf_program__section_name(program: Pointer): string;
  bpf_program__fd(program: Pointer): number;
  bpf_program__expected_attach_type(program: Pointer): number;
  bpf_program__set_autoload(program: Pointer, autoload: boolean): number;
  bpf_map__name(map: Pointer): string;
  bpf_map__fd(map: Pointer): number;
  bpf_map__is_internal(map: Pointer): boolean;
  bpf_map__type(map: Pointer): number;
  bpf_map__key_size(map: Pointer): number;
  bpf_map__value_size(map: Pointer): number;
  bpf_map__max_entries(map: Pointer): number;
  bpf_map__map_flags(map: Pointer): number;
  bpf_map__btf_key_type_id(map: Pointer): number;
  bpf_map__btf_value_type_id(map: Pointer): number;
  bpf_map__set_max_entries(map: Pointer, entries: number): number;
  bpf_map__reuse_fd(map: Pointer, fd: number): number;
  bpf_map_create(type: number, name: string, key: number, value: number, entries: number, opts: Bytes): number;
  bpf_prog_load(type: number, name: string, license: string, insns: Bytes, count: number, opts: Bytes): number;
  bpf_map_update_elem(fd: number, key: Bytes, value: Bytes, flags: number): number;
  bpf_map_lookup_elem(fd: number, key: Bytes, value: Bytes): number;
  bpf_map_delete_elem(fd: number, key: Bytes): number;
  bpf_map_get_next_key(fd: number, key: Bytes, next: Bytes): number;
  bpf_map_update_batch(fd: number, keys: Bytes, values: Bytes, count: Uint32Array, opts: Bytes): number;
  bpf_map_delete_batch(fd: number, keys: Bytes, count: Uint32Array, opts: Bytes): number;
  bpf_map_lookup_batch(
    fd: number,
    from: Bytes,
    next: Bytes,
    keys: Bytes,
    values: Bytes,
    count: Uint32Array,
    opts: Bytes,
  ): number;
  bpf_obj_pin(fd: number, path: string): number;
  bpf_obj_get(path: string): number;
  bpf_obj_get_info_by_fd(fd: number, info: Bytes, size: Uint32Array): number;
  bpf_link_create(program: number, target: number, attachType: number, opts: Bytes): number;
  bpf_link_update(link: number, program: number, opts: Bytes): number;
  bpf_link_detach(link: number): number;
  bpf_iter_create(link: number): number;
  /** Without a link: for as long as the program and what it is attached to are there. */
  bpf_prog_attach(program: number, target: number, attachType: number, flags: number): number;
  bpf_prog_query(
    target: number,
    attachType: number,
    queryFlags: number,
    attachFlags: Uint32Array,
    ids: Uint32Array,
    count: Uint32Array,
  ): number;
  bpf_prog_get_fd_by_id(id: number): number;
  bpf_btf_get_fd_by_id(id: number): number;
  bpf_map_get_fd_by_id(id: number): number;
  bpf_enable_stats(type: number): number;
  /** A descriptor that waits like any of epoll_create(2); goes with the ring. */
  ring_buffer__epoll_fd(ring: Pointer): number;
  /** Hands over what is there; how many records. */
  ring_buffer__consume(ring: Pointer): number;
  ring_buffer__free(ring: Pointer): void;
}

const bpfPrototypes: Record<keyof BpfCalls, string> = {
  libbpf_version_string: 'str f()',
  libbpf_probe_bpf_map_type: 'int f(int, void *)',
  libbpf_num_possible_cpus: 'int f()',
  libbpf_find_vmlinux_btf_id: 'int f(str, int)',
  bpf_object__open_file: 'void *f(str, void *)',
  bpf_object__load: 'int f(void *)',
  bpf_object__close: 'void f(void *)',
  bpf_object__next_program: 'void *f(void *, void *)',
  bpf_object__next_map: 'void *f(void *, void *)',
  bpf_program__name: 'str f(void *)',
  bpf_program__section_name: 'str f(void *)',
  bpf_program__fd: 'int f(void *)',
  bpf_program__expected_attach_type: 'int f(void *)',
  bpf_program__set_autoload: 'int f(void *, bool)',
  bpf_map__name: 'str f(void *)',
  bpf_map__fd: 'int f(void *)',
  bpf_map__is_internal: 'bool f(void *)',
  bpf_map__type: 'int f(void *)',
  bpf_map__key_size: 'uint32_t f(void *)',
  bpf_map__value_size: 'uint32_t f(void *)',
  bpf_map__max_entries: 'uint32_t f(void *)',
  bpf_map__map_flags: 'uint32_t f(void *)',
  bpf_map__btf_key_type_id: 'uint32_t f(void *)',
  bpf_map__btf_value_type_id: 'uint32_t f(void *)',
  bpf_map__set_max_entries: 'int f(void *, uint32_t)',
  bpf_map__reuse_fd: 'int f(void *, int)',
  bpf_map_create: 'int f(int, str, uint32_t, uint32_t, uint32_t, void *)',
  bpf_prog_load: 'int f(int, str, str, void *, size_t, void *)',
  bpf_map_update_elem: 'int f(int, void *, void *, uint64_t)',
  bpf_map_lookup_elem: 'int f(int, void *, void *)',
  bpf_map_delete_elem: 'int f(int, void *)',
  bpf_map_get_next_key: 'int f(int, void *, void *)',
  bpf_map_update_batch: 'int f(int, void *, void *, void *, void *)',
  bpf_map_delete_batch: 'int f(int, void *, void *, void *)',
  bpf_map_lookup_batch: 'int f(int, void *, void *, void *, void *, void *, void *)',
  bpf_obj_pin: 'int f(int, str)',
  bpf_obj_get: 'int f(str)',
  bpf_obj_get_info_by_fd: 'int f(int, void *, void *)',
  bpf_link_create: 'int f(int, int, int, void *)',
  bpf_link_update: 'int f(int, int, void *)',
  bpf_link_detach: 'int f(int)',
  bpf_iter_create: 'int f(int)',
  bpf_prog_attach: 'int f(int, int, int, uint32_t)',
  bpf_prog_query: 'int f(int, int, uint32_t, void *, void *, void *)',
  bpf_prog_get_fd_by_id: 'int f(uint32_t)',
  bpf_btf_get_fd_by_id: 'int f(uint32_t)',
  bpf_map_get_fd_by_id: 'int f(uint32_t)',
  bpf_enable_stats: 'int f(int)',
  ring_buffer__epoll_fd: 'int f(void *)',
  ring_buffer__consume: 'int f(void *)',
  ring_buffer__free: 'void f(void *)',
};

export interface Printed<T> {
  readonly result: T;
  readonly text: string;
}

export interface Libbpf extends BpfCalls {
  /** errno of the last call that failed. */
  errno(): number;
  /** Where `bytes` lies, to be put into another struct. Valid while `bytes` is reachable (see stableBytes). */
  address(bytes: Uint8Array): bigint;
  /** syscall(2) with up to three plain arguments on a worker thread: the answer, -1 on failure. */
  syscallLater(number: number, ...args: readonly [number, number, number]): Promise<number>;
  /** bpf_map_update_elem on a worker thread. */
  updateLater(fd: number, key: Uint8Array, value: Uint8Array): Promise<number>;
  /** bpf_object__load on a worker thread: the verifier may take seconds. */
  loadLater(object: Pointer): Promise<number>;
  /** Opens the ring buffer behind `fd`, whose records have `size` bytes; `take` is given each. null: errno says why. */
  openRing(fd: number, size: number, take: (record: Uint8Array) => void): { readonly ring: Pointer; release(): void };
  /** Runs `body` and gives back what libbpf printed meanwhile: a verifier's log among it. */
  printed<T>(body: () => T): Printed<T>;
  printedLater<T>(body: () => Promise<T>): Promise<Printed<T>>;
}

/** Zeroed bytes whose address never changes (small typed arrays otherwise live on a heap that is compacted). */
export function stableBytes(size: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(size));
}

/** LIBBPF_DEBUG lines are left out of what is kept. */
const levelDebug = 2;
/** A verifier's log comes as one line; libbpf gives it 16 MB at most. Only what is written becomes memory. */
const lineSize = 17 << 20;

function bind<T>(library: Koffi.LibraryHandle, prototypes: Readonly<Record<string, string>>): T {
  const bound: Record<string, unknown> = {};
  for (const [name, prototype] of Object.entries(prototypes))
    bound[name] = library.func(prototype.replace(/\bf\(/, `${name}(`));
  return bound as T;
}

function open(): Libbpf {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  let library: Koffi.LibraryHandle;
  try {
    library = koffi.load('libbpf.so.1');
  } catch (cause) {
    throw new KmeshError('KM_LIBBPF', 'libbpf.so.1 could not be loaded', {
      hint: 'install libbpf 1.x (Debian: apt-get install libbpf1)',
      cause,
    });
  }
  const libc = koffi.load('libc.so.6');
  const calls = bind<BpfCalls>(library, bpfPrototypes);
  // syscall() is variadic in C, but reads plain registers: declared with fixed arguments it may run on a worker thread.
  const syscall = libc.func('long syscall(long, long, long, long)');
  const update = library.func('int bpf_map_update_elem(int, void *, void *, uint64_t)');
  const load = library.func('int bpf_object__load(void *)');
  const later = (call: ReturnType<Koffi.LibraryHandle['func']>, ...args: readonly unknown[]): Promise<number> =>
    new Promise((resolve, reject) => {
      call.async(...args, (fault: unknown, answer: number) => (fault ? reject(fault) : resolve(answer)));
    });
  const format = libc.func('int vsnprintf(void *, size_t, void *, void *)');
  const setPrint = library.func('libbpf_set_print', 'void *', [
    koffi.pointer(koffi.proto('int (int level, void *format, void *arguments)')),
  ]);
  let sink: string[] | undefined;
  // A va_list is handed over by reference on the machines Node runs on (x86-64, arm64), so it passes through as a pointer.
  const print = koffi.register(
    (level: number, text: Pointer, args: Pointer) => {
      if (level === levelDebug || !sink) return 0;
      const line = stableBytes(lineSize);
      const length = format(line, lineSize, text, args) as number;
      sink.push(Buffer.from(line.buffer, 0, Math.min(length, lineSize - 1)).toString('utf8'));
      return length;
    },
    koffi.pointer(koffi.proto('int (int level, void *format, void *arguments)')),
  );
  setPrint(print);
  const sample = koffi.pointer(koffi.proto('int (void *context, void *record, size_t size)'));
  const newRing = library.func('ring_buffer__new', 'void *', ['int', sample, 'void *', 'void *']);

  return {
    ...calls,
    errno: () => koffi.errno(),
    address: (bytes) => koffi.address(bytes),
    syscallLater: (number, ...args) => later(syscall, number, ...args),
    updateLater: (fd, key, value) => later(update, fd, key, value, 0),
    loadLater: (object) => later(load, object),
    openRing(fd, size, take) {
      const bytes = koffi.array('uint8_t', size, 'Typed');
      const callback = koffi.register((_context: Pointer, record: Pointer) => {
        take(koffi.decode(record, bytes) as Uint8Array);
        return 0;
      }, sample);
      return { ring: newRing(fd, callback, null, null) as Pointer, release: () => koffi.unregister(callback) };
    },
    printed(body) {
      const outer = sink;
      const lines: string[] = [];
      sink = lines;
      try {
        return { result: body(), text: lines.join('') };
      } finally {
        sink = outer;
      }
    },
    // What a worker thread prints is brought to this one while that one waits, so its arguments still stand.
    async printedLater(body) {
      const outer = sink;
      const lines: string[] = [];
      sink = lines;
      try {
        return { result: await body(), text: lines.join('') };
      } finally {
        sink = outer;
      }
    },
  };
}

/** libbpf, loaded on the first call; KM_LIBBPF when it is not there. One for the process: it is a library, not state. */
export const libbpf: () => Libbpf = once(open);

/** Name of the errno in a libbpf answer (-errno); -1 stands for EPERM as well as for "look at errno". */
export function failure(answer: number): string {
  return errnoName(answer < -1 ? -answer : libbpf().errno());
}
