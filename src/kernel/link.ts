// SPDX-License-Identifier: Apache-2.0
// Links: programs on a cgroup, a network namespace or a device, and iterators that are linked for one walk.
import { closeSync, openSync, readSync } from 'node:fs';
import { fileFault, KmeshError } from '../errors.ts';
import { lookupHook } from './hooks.ts';
import { linkInfo } from './info.ts';
import { failure, libbpf, stableBytes } from './libbpf.ts';

/** BPF_TRACE_ITER of enum bpf_attach_type */
const attachIterator = 28;
/** BPF_F_BEFORE without a program or link that is meant: in front of all. */
const first = 8;
/** Room for one read(2) of an iterator. */
const readSize = 64 * 1024;

/** A descriptor of the directory, for attaching; KM_CGROUP when it cannot be opened. */
export function openCgroup(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw new KmeshError('KM_CGROUP', `cgroup "${path}" ${fileFault(cause)}`, { cause });
  }
}

/** Attaches to the cgroup behind `cgroupFd` and its descendants. The link lasts as long as its descriptor or its pin. */
export function attachCgroup(name: string, programFd: number, cgroupFd: number, attachType: number): number {
  const fd = libbpf().bpf_link_create(programFd, cgroupFd, attachType, null);
  if (fd >= 0) return fd;
  const errno = failure(fd);
  throw new KmeshError('KM_ATTACH', `program "${name}" could not be attached: ${errno}`, {
    ...(errno === 'EPERM'
      ? { hint: 'a program attached there without BPF_F_ALLOW_MULTI keeps others out: kmeshctl check' }
      : {}),
    ...(errno === 'EBADF' || errno === 'EINVAL' ? { hint: 'is it a cgroup2 directory?' } : {}),
    facts: { program: name, errno },
  });
}

/** Attaches an sk_lookup program to the network namespace behind `netnsFd`. The link does not keep that alive. */
export function attachNetns(name: string, programFd: number, netnsFd: number): number {
  const fd = libbpf().bpf_link_create(programFd, netnsFd, lookupHook.attachType, null);
  if (fd >= 0) return fd;
  throw new KmeshError('KM_ATTACH', `program "${name}" could not be attached to a network namespace: ${failure(fd)}`);
}

/** Attaches to a device of the namespace that the thread is in, in front of all other programs there. */
export function attachDevice(name: string, programFd: number, ifindex: number, attachType: number): number {
  // struct bpf_link_create_opts: sz, flags
  const options = stableBytes(16);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(options.length), true);
  view.setUint32(8, first, true);
  const fd = libbpf().bpf_link_create(programFd, ifindex, attachType, options);
  if (fd >= 0) return fd;
  const errno = failure(fd);
  throw new KmeshError('KM_ATTACH', `program "${name}" could not be attached to device ${ifindex}: ${errno}`, {
    ...(errno === 'EINVAL' ? { hint: 'Linux 6.6 or newer is needed: kmeshctl check' } : {}),
    facts: { program: name, errno },
  });
}

/**
 * Replaces the program of a link in one step: no moment without either. False: what it was attached to is gone, and with that
 * whatever the program could have run for.
 */
export function updateLink(name: string, linkFd: number, programFd: number): boolean {
  const answer = libbpf().bpf_link_update(linkFd, programFd, null);
  if (answer >= 0) return true;
  const errno = failure(answer);
  if (errno === 'ENOLINK') return false;
  throw new KmeshError('KM_ATTACH', `program "${name}" could not be swapped: ${errno}`);
}

/** A descriptor of the program that a link runs; the caller closes it. */
export function openLinkedProgram(name: string, linkFd: number): number {
  const fd = libbpf().bpf_prog_get_fd_by_id(linkInfo(linkFd).programId);
  if (fd < 0) throw new KmeshError('KM_PIN', `the program of link "${name}" cannot be opened: ${failure(fd)}`);
  return fd;
}

/** Takes the program off at once (a link that is only closed goes a little later). */
export function detachLink(linkFd: number): void {
  // A link whose cgroup is gone is detached already.
  libbpf().bpf_link_detach(linkFd);
}

/** Links an iterator program; `mapFd` for those that walk the elements of a map. The caller closes it. */
export function linkIterator(name: string, programFd: number, mapFd?: number): number {
  const bpf = libbpf();
  const options = stableBytes(64);
  const info = stableBytes(16);
  if (mapFd !== undefined) {
    // struct bpf_link_create_opts: sz, flags, iter_info, iter_info_len
    const view = new DataView(options.buffer);
    new DataView(info.buffer).setUint32(0, mapFd, true);
    view.setBigUint64(0, BigInt(options.length), true);
    view.setBigUint64(16, bpf.address(info), true);
    view.setUint32(24, info.length, true);
  }
  const fd = bpf.bpf_link_create(programFd, 0, attachIterator, mapFd === undefined ? null : options);
  if (fd < 0) throw new KmeshError('KM_ATTACH', `iterator "${name}" could not be linked: ${failure(fd)}`);
  return fd;
}

/** Opens a walk. Iterators over sockets walk the network namespace that the thread is in now, whoever reads later. */
export function createWalk(name: string, linkFd: number): number {
  const fd = libbpf().bpf_iter_create(linkFd);
  if (fd < 0) throw new KmeshError('KM_ATTACH', `iterator "${name}" could not be opened: ${failure(fd)}`);
  return fd;
}

/** Runs a walk to its end and gives back all that the program wrote; closes it. */
export function readWalk(name: string, walkFd: number): Uint8Array {
  const parts: Buffer[] = [];
  try {
    for (;;) {
      const part = Buffer.alloc(readSize);
      const length = readOnce(walkFd, part);
      if (length === 0) return Buffer.concat(parts);
      if (length > 0) parts.push(part.subarray(0, length));
    }
  } catch (cause) {
    const errno = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new KmeshError('KM_MAP', `iterator "${name}" failed: ${errno}`, { cause });
  } finally {
    closeSync(walkFd);
  }
}

/** -1: nothing yet, ask again (a long walk pauses with EAGAIN). */
function readOnce(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EAGAIN' || code === 'EINTR') return -1;
    throw cause;
  }
}
