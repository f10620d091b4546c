// SPDX-License-Identifier: Apache-2.0
// Cgroups that a command made for what it runs: emptied and removed with it.
import { readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError } from '../errors.ts';

/** Kills what is in the cgroup, as a container's end does. */
export function killCgroup(path: string): void {
  try {
    writeFileSync(join(path, 'cgroup.kill'), '1');
  } catch {
    // Older than cgroup.kill (Linux 5.14), or gone already: who removes it is told.
  }
}

/** Kills what is left in the cgroup and removes it; waits at most two seconds for it to empty. */
export async function removeCgroup(path: string): Promise<void> {
  killCgroup(path);
  for (let tries = 0; tries < 40; tries++) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT') return;
      if (code !== 'EBUSY')
        throw new KmeshError('KM_CGROUP', `cannot remove cgroup ${path}: ${code}`, { cause: error });
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  const left = readFileSync(join(path, 'cgroup.procs'), 'utf8').trim().split('\n').join(', ');
  throw new KmeshError('KM_CGROUP', `cgroup ${path} still holds processes ${left}`, {
    hint: 'end them, then rmdir it',
  });
}
