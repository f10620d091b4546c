// SPDX-License-Identifier: Apache-2.0
// A bpffs and a cgroup of a test's own with nothing loaded yet; everything is gone after close().
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { libc } from '../../src/kernel/libc.ts';
import { type LoadOptions, unload } from '../../src/kernel/load.ts';
import { mountBpffs } from '../../src/kernel/pins.ts';

export interface Site {
  /** Not made yet: load does. */
  readonly bpffs: string;
  /** The mounted bpffs around it. */
  readonly mount: string;
  readonly cgroupRoot: string;
  /** For load(): this place, a fixed version and time. */
  readonly options: LoadOptions;
  close(): void;
}

/** `part` tells whose it is: km-<part>-<pid>. */
export function openSite(part: string): Site {
  const mount = mkdtempSync(join(tmpdir(), `km-${part}-`));
  const cgroupRoot = join(cgroupMount(), `km-${part}-${process.pid}`);
  mkdirSync(cgroupRoot, { recursive: true });
  mountBpffs(mount);
  const bpffs = join(mount, 'kmesh');
  return {
    bpffs,
    mount,
    cgroupRoot,
    options: { bpffs, cgroupRoot, version: '0.0.0-test', now: 0 },
    close() {
      unload(bpffs);
      libc().umount2(mount, 0);
      rmdirSync(mount);
      rmdirSync(cgroupRoot);
    },
  };
}
