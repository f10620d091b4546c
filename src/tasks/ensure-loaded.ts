// SPDX-License-Identifier: Apache-2.0
// Programs of this version in the kernel, whatever is there now: what a service does at boot and after an update.
import type { Env } from '../env.ts';
import { isLoaded } from '../kernel/pinned.ts';
import type { ChangeResult } from './change.ts';
import { type LoadOptions, loadPrograms } from './load.ts';
import { upgradePrograms } from './upgrade.ts';

/** Loads, or swaps in place what another version has loaded. Maps that are there keep their sizes: they may have grown. */
export function ensureLoaded(env: Env, options: LoadOptions): Promise<ChangeResult> {
  const { place, dryRun } = options;
  return isLoaded(place.bpffs) ? upgradePrograms(env, { place, dryRun }) : loadPrograms(env, options);
}
