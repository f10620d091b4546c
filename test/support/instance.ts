// SPDX-License-Identifier: Apache-2.0
// One instance of the data plane for tests: programs loaded on a cgroup of its own, pins on a bpffs of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../src/demo/process.ts';
import type { Place } from '../../src/env.ts';
import { load, unload } from '../../src/kernel/load.ts';
import { openPinned, type PinnedDataPlane } from '../../src/kernel/pinned.ts';
import { mountBpffs } from '../../src/kernel/pins.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';

export interface Instance {
  readonly place: Place;
  readonly plane: PinnedDataPlane;
  /** Detaches, unpins, unmounts, removes. */
  close(): Promise<void>;
}

/** A folder with a bpffs mounted in it: a place of its own for pins, lock and socket. */
export async function openPlace(cgroupRoot: string): Promise<{ readonly place: Place; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'km-test-'));
  const mount = join(folder, 'bpf');
  try {
    mountBpffs(mount);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    place: { bpffs: join(mount, 'kmesh'), cgroupRoot, runDir: join(folder, 'run') },
    async close() {
      await runCommand('KM_MOUNT', 'umount', [mount]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Loads everything at `cgroupRoot`. */
export async function openInstance(cgroupRoot: string, sizes: MapSizes = {}): Promise<Instance> {
  const { place, close } = await openPlace(cgroupRoot);
  try {
    load({ bpffs: place.bpffs, cgroupRoot, version: 'test', now: Date.now(), sizes });
    const plane = openPinned(place.bpffs);
    return {
      place,
      plane,
      async close() {
        plane.close();
        unload(place.bpffs);
        await close();
      },
    };
  } catch (error) {
    // Unmounting takes every pin along.
    await close().catch(() => undefined);
    throw error;
  }
}
