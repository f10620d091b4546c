// SPDX-License-Identifier: Apache-2.0
// Who else is attached to the hooks that this project uses, and in which order they run.
import { closeSync } from 'node:fs';
import { KmeshError } from '../errors.ts';
import { type Hook, hooks, lookupHook } from './hooks.ts';
import { mapInfo, programInfo } from './info.ts';
import { failure, libbpf } from './libbpf.ts';
import { openCgroup } from './link.ts';
import { netnsInode } from './netns.ts';

export interface HookProgram {
  /** "connect4" */
  readonly hook: string;
  /** 1 runs first. */
  readonly order: number;
  readonly id: number;
  /** Cut to 15 characters by the kernel; '' when it has none or is gone. */
  readonly name: string;
}

/** BPF_F_QUERY_EFFECTIVE: with those of the cgroups above */
const effective = 1;
const maxPrograms = 64;

/** Programs that run for sockets of the cgroup at `path`, its own and those of the cgroups above, hook by hook in running order. */
export function hookPrograms(path: string): HookProgram[] {
  return query(path, effective);
}

/**
 * Of the programs attached to the very cgroup at `path`, those of other data planes of this project: by the maps that they use, whatever
 * their version. `own`: ids of one's own.
 */
export function otherPlanes(path: string, own: ReadonlySet<number>): HookProgram[] {
  return query(path, 0).filter(({ id }) => !own.has(id) && usesMaps(id));
}

/** Every version has them, and the programs of each hook use them. */
const tellingMaps = ['backend', 'endpoint', 'enrolled'] as const;

function usesMaps(program: number): boolean {
  const names = new Set(withId('bpf_prog_get_fd_by_id', program, (fd) => programInfo(fd).mapIds)?.map(mapName));
  return tellingMaps.every((name) => names.has(name));
}

const mapName = (id: number): string => withId('bpf_map_get_fd_by_id', id, (fd) => mapInfo(fd).name) ?? '';

/** Undefined: it is gone. */
function withId<T>(open: 'bpf_prog_get_fd_by_id' | 'bpf_map_get_fd_by_id', id: number, read: (fd: number) => T) {
  const fd = libbpf()[open](id);
  if (fd < 0) return undefined;
  try {
    return read(fd);
  } finally {
    closeSync(fd);
  }
}

/** Programs on the hooks of cgroups. */
function query(path: string, flags: number): HookProgram[] {
  const cgroup = openCgroup(path);
  try {
    return hooks.flatMap((hook) => queryHook(cgroup, hook, flags, `"${path}"`));
  } finally {
    closeSync(cgroup);
  }
}

/** Programs on one hook of what is behind `target`, in running order. */
function queryHook(target: number, { name: hook, attachType }: Hook, flags: number, where: string): HookProgram[] {
  const ids = new Uint32Array(maxPrograms);
  const count = Uint32Array.of(maxPrograms);
  const answer = libbpf().bpf_prog_query(target, attachType, flags, new Uint32Array(1), ids, count);
  if (answer < 0) {
    throw new KmeshError('KM_CGROUP', `programs on ${hook} of ${where} cannot be listed: ${failure(answer)}`);
  }
  return [...ids.subarray(0, count[0])].map((id, i) => ({ hook, order: i + 1, id, name: programName(id) }));
}

/** sk_lookup programs of the network namespace behind `fd`: one that picks a socket lets in what another denies. */
export function lookupPrograms(fd: number): HookProgram[] {
  return queryHook(fd, lookupHook, 0, `network namespace ${netnsInode(fd)}`);
}

const programName = (id: number): string => withId('bpf_prog_get_fd_by_id', id, (fd) => programInfo(fd).name) ?? '';
