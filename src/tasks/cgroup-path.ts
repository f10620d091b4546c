// SPDX-License-Identifier: Apache-2.0
// Which cgroup is meant: a path, a path below the cgroup root, or the cgroup of a process.
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import type { Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { cgroupMount } from '../kernel/cgroup.ts';

export interface CgroupChoice {
  readonly cgroup?: string | undefined;
  readonly pid?: number | undefined;
}

/** The directory that programs are attached to: the place's, or the cgroup2 mount. KM_CGROUP when it is no cgroup2 directory. */
export function resolveCgroupRoot(place: Place): string {
  const root = place.cgroupRoot === '' ? cgroupMount() : resolve(place.cgroupRoot);
  if (existsSync(join(root, 'cgroup.controllers'))) return root;
  const why = existsSync(root) ? 'is not a cgroup2 directory' : 'does not exist';
  throw new KmeshError('KM_CGROUP', `cgroup root "${root}" ${why}`, {
    hint: `make a folder in the cgroup2 mount, ${cgroupMount()}, and give that`,
  });
}

/** The cgroup2 directory of a process. KM_NOT_FOUND when there is no such process. */
export function cgroupOfProcess(pid: number): string {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch (cause) {
    throw new KmeshError('KM_NOT_FOUND', `there is no process ${pid}`, { cause });
  }
  const line = text.split('\n').find((l) => l.startsWith('0::'));
  if (line === undefined) throw new KmeshError('KM_CGROUP', `process ${pid} is in no cgroup2 cgroup`);
  return resolve(cgroupMount(), `.${line.slice(3)}`);
}

/** The directory meant by the choice. Paths that are not absolute are taken below the cgroup root, then below the mount. */
export function resolveCgroup(place: Place, choice: CgroupChoice): string {
  if (choice.cgroup !== undefined && choice.pid !== undefined) {
    throw new KmeshError('KM_USAGE', 'a cgroup and --pid were given', { hint: 'give one of them' });
  }
  if (choice.pid !== undefined) return cgroupOfProcess(choice.pid);
  if (choice.cgroup === undefined) {
    throw new KmeshError('KM_USAGE', 'no cgroup was given', { hint: 'give its path, or --pid of a process in it' });
  }
  const tried = isAbsolute(choice.cgroup)
    ? [resolve(choice.cgroup)]
    : [resolve(resolveCgroupRoot(place), choice.cgroup), resolve(cgroupMount(), choice.cgroup)];
  const found = tried.find((path) => existsSync(join(path, 'cgroup.procs')));
  if (found === undefined) {
    const why = tried.some((path) => existsSync(path)) ? 'is not a cgroup2 directory' : 'does not exist';
    throw new KmeshError('KM_CGROUP', `cgroup "${choice.cgroup}" ${why}`, {
      hint: `looked at ${[...new Set(tried)].join(' and ')}; cgroups are folders below ${cgroupMount()}`,
    });
  }
  return found;
}

/** Throws KM_CGROUP unless `path` is at or below the root that the programs are attached to. */
export function requireBelow(root: string, path: string): void {
  const under = relative(root, path);
  if (under.startsWith('..') || isAbsolute(under)) {
    throw new KmeshError('KM_CGROUP', `cgroup "${path}" is not below the cgroup root "${root}"`, {
      hint: 'the programs are attached to the root only; choose another with --cgroup-root',
    });
  }
}
