// SPDX-License-Identifier: Apache-2.0
// The floor: empty programs attached where ours would be.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { programInfo } from '../src/kernel/info.ts';
import { libbpf } from '../src/kernel/libbpf.ts';
import { attachCgroup, openCgroup } from '../src/kernel/link.ts';
import { objectFolder } from '../src/kernel/objects.ts';

export interface Counter {
  readonly name: string;
  readonly runs: number;
  readonly ns: number;
}

export interface Floor {
  read(): Counter[];
  close(): void;
}

/** Attaches an empty connect4 and connect6 to the cgroup at `path`. */
export function openFloor(path: string): Floor {
  const bpf = libbpf();
  const file = join(objectFolder(), 'tests', 'empty.bpf.o');
  const object = bpf.bpf_object__open_file(file, null);
  if (object === null || bpf.bpf_object__load(object) < 0) throw new Error(`${file} cannot be loaded`);
  const cgroup = openCgroup(path);
  const programs: { name: string; fd: number; link: number }[] = [];
  for (let p = bpf.bpf_object__next_program(object, null); p; p = bpf.bpf_object__next_program(object, p)) {
    const name = bpf.bpf_program__name(p);
    const fd = bpf.bpf_program__fd(p);
    programs.push({ name, fd, link: attachCgroup(name, fd, cgroup, bpf.bpf_program__expected_attach_type(p)) });
  }
  closeSync(cgroup);
  return {
    read: () =>
      programs.map(({ name, fd }) => {
        const info = programInfo(fd);
        return { name, runs: Number(info.runCount), ns: Number(info.runTimeNs) };
      }),
    close() {
      for (const { link } of programs) closeSync(link);
      bpf.bpf_object__close(object);
    },
  };
}
