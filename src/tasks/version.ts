// SPDX-License-Identifier: Apache-2.0
// Versions: of this program, of the agent, of what is loaded. The first needs nothing of the others' code.
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { version } from '../version.ts';

export interface VersionResult {
  readonly client: { readonly version: string };
  readonly agent?: {
    readonly version: string;
    readonly abiVersion: number;
    readonly node: string;
    readonly pid: number;
  };
  readonly loaded?: {
    readonly version: string;
    readonly abiVersion: number;
    readonly hash: string;
    readonly loadedAt: string;
  };
  /** Why one of the others is not there, where something is wrong. */
  readonly faults: readonly string[];
}

/** What cannot be read because nothing runs or is loaded, or for want of rights, is left out. */
export async function showVersion(
  env: Env,
  { place, client }: { readonly place: Place; readonly client: boolean },
): Promise<VersionResult> {
  const base = { client: { version } };
  if (client) return { ...base, faults: [] };
  const faults: string[] = [];
  const attempt = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (fault) {
      if (!(fault instanceof KmeshError)) throw fault;
      if (fault.code !== 'KM_AGENT_UNREACHABLE') faults.push(`${fault.code}: ${fault.message}`);
      return undefined;
    }
  };
  const agent = await attempt(async () => (await import('../admin/client.ts')).adminClient(place.runDir).version({}));
  const loaded = env.isRoot() ? await attempt(() => readLoaded(place)) : undefined;
  return { ...base, ...(agent ? { agent } : {}), ...(loaded ? { loaded } : {}), faults };
}

async function readLoaded(place: Place): Promise<VersionResult['loaded']> {
  const { pinFolders } = await import('../kernel/pins.ts');
  const { readVersion } = await import('../kernel/version.ts');
  const found = readVersion(pinFolders(place.bpffs).maps);
  return found && { version: found.version, abiVersion: found.abi, hash: found.hash, loadedAt: found.loadedAt };
}
