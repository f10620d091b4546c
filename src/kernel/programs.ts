// SPDX-License-Identifier: Apache-2.0
// The programs of one instance as the kernel counts them: for status, benchmarks and the verifier table.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError } from '../errors.ts';
import { messageHook } from './hooks.ts';
import { linkInfo, type ProgramInfo, programInfo } from './info.ts';
import { failure, libbpf } from './libbpf.ts';
import { openLinkedProgram } from './link.ts';
import { pinnedLinks } from './pinned-links.ts';
import { openPin, pinFolders, pinNames } from './pins.ts';

export interface PinnedProgram extends ProgramInfo {
  /** Whole, as in the source: the kernel's own copy is cut to 15 characters. */
  readonly name: string;
  /** To a cgroup that exists, or to the network of some pod. */
  readonly attached: boolean;
  /** Set while it is attached to a cgroup. */
  readonly cgroupId?: bigint;
  readonly attachType?: number;
}

/** Information on the program behind a pinned link. */
function attachedProgram(name: string, linkFd: number): PinnedProgram {
  const { cgroupId, attachType } = linkInfo(linkFd);
  const fd = openLinkedProgram(name, linkFd);
  try {
    return { ...programInfo(fd), name, attached: cgroupId !== 0n, cgroupId, attachType };
  } finally {
    closeSync(fd);
  }
}

/** Every pinned program: attached ones first, then those that are linked on demand. */
export function pinnedPrograms(bpffs: string): PinnedProgram[] {
  const folders = pinFolders(bpffs);
  const found: PinnedProgram[] = [];
  const visit = (folder: string, read: (name: string, fd: number) => PinnedProgram) => {
    for (const name of pinNames(folder)) {
      if (found.some((program) => program.name === name)) continue;
      const fd = openPin(join(folder, name));
      if (fd === undefined) continue;
      try {
        found.push(read(name, fd));
      } finally {
        closeSync(fd);
      }
    }
  };
  visit(folders.links, attachedProgram);
  const ofPods = new Set(pinnedLinks(folders).map(({ program }) => program));
  visit(folders.progs, (name, fd) => ({
    ...programInfo(fd),
    name,
    attached: ofPods.has(name) || name === messageHook.name,
  }));
  return found;
}

/** Turns on run time and run counts of every program on the machine until closed (BPF_STATS_RUN_TIME; some ns a run). */
export function enableStats(): { close(): void } {
  const fd = libbpf().bpf_enable_stats(0);
  if (fd < 0) throw new KmeshError('KM_LOAD', `program statistics could not be turned on: ${failure(fd)}`);
  return { close: () => closeSync(fd) };
}
