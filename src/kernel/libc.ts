// SPDX-License-Identifier: Apache-2.0
// libc calls that Node has no API for. They need no libbpf. Nothing is loaded before the first use.
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { once } from './once.ts';

/** Calls in their C names: -1 on failure, the reason in errno. */
interface Calls {
  flock(fd: number, operation: number): number;
  socket(domain: number, type: number, protocol: number): number;
  sendto(fd: number, data: Uint8Array, length: number, flags: number, address: Uint8Array, size: number): number;
  close(fd: number): number;
  setns(fd: number, type: number): number;
  mount(source: string, target: string, type: string, flags: number, data: null): number;
  umount2(target: string, flags: number): number;
  /** A descriptor. */
  open_by_handle_at(mount: number, handle: Uint8Array, flags: number): number;
  /** A descriptor. */
  eventfd(count: number, flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: Uint8Array): number;
}

const prototypes: Record<keyof Calls, string> = {
  flock: 'int flock(int, int)',
  socket: 'int socket(int, int, int)',
  sendto: 'intptr_t sendto(int, void *, size_t, int, void *, uint32_t)',
  close: 'int close(int)',
  setns: 'int setns(int, int)',
  mount: 'int mount(str, str, str, unsigned long, void *)',
  umount2: 'int umount2(str, int)',
  open_by_handle_at: 'int open_by_handle_at(int, void *, int)',
  eventfd: 'int eventfd(unsigned int, int)',
  epoll_ctl: 'int epoll_ctl(int, int, int, void *)',
};

export interface Libc extends Calls {
  /** epoll_wait on a worker thread; resolves when something is ready, or so many milliseconds later. */
  waitLater(epoll: number, milliseconds: number): Promise<void>;
  /** errno of the last call that answered -1, by name ("EWOULDBLOCK" is "EAGAIN"). */
  errno(): string;
}

function open(): Libc {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const library = koffi.load('libc.so.6');
  const calls: Record<string, unknown> = {};
  for (const [name, prototype] of Object.entries(prototypes)) calls[name] = library.func(prototype);
  const names = new Map<number, string>();
  for (const [name, code] of Object.entries(koffi.os.errno)) if (!names.has(code)) names.set(code, name);
  names.set(koffi.os.errno.EAGAIN as number, 'EAGAIN');
  // One struct epoll_event, however it is laid out here. Written by other threads at any time, so it must stay.
  const ignored = new Uint8Array(new ArrayBuffer(16));
  const wait = library.func('int epoll_wait(int, void *, int, int)');
  return {
    ...(calls as unknown as Calls),
    waitLater: (epoll, milliseconds) =>
      new Promise((resolve, reject) => {
        wait.async(epoll, ignored, 1, milliseconds, (fault: unknown) => (fault ? reject(fault) : resolve()));
      }),
    errno: () => names.get(koffi.errno()) ?? `errno ${koffi.errno()}`,
  };
}

/** The C library; one for the process: it is a library, not state. */
export const libc: () => Libc = once(open);
