// SPDX-License-Identifier: Apache-2.0
// What an agent listens to, from its flags and the environment: a control plane, files, or both.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Log } from '../agent/log.ts';
import type { SourceOpening } from '../agent/sources.ts';
import type { GivenView } from '../agent/view.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { folderSourceName, openFolderSource } from '../source/file/folder-source.ts';
import { readXdsSettings, serverText, type XdsFlags, type XdsSettings } from '../source/xds/settings.ts';

export interface SourceOptions extends XdsFlags {
  readonly place: Place;
  /** Files and folders; '-' is standard input. */
  readonly config: readonly string[];
  /** What becomes of the first connection to an address that is not known yet; on demand only. */
  readonly onMiss?: 'direct' | 'refuse';
}

/** What is known of the node before anybody says anything. */
export interface NodeSettings {
  readonly node: string;
  readonly view: GivenView;
  /** Absent: no control plane is asked for. */
  readonly xds: XdsSettings | undefined;
}

/** KM_USAGE for flags and variables that make no sense. */
export function readNodeSettings(env: Env, options: SourceOptions): NodeSettings {
  const hostname = env.hostname();
  // A switch that is not given leaves it to the environment.
  const flags = {
    ...options,
    xdsPlaintext: options.xdsPlaintext || undefined,
    xdsOnDemand: options.xdsOnDemand || undefined,
  };
  const xds = readXdsSettings(flags, env.environ(), { hostname, hasConfig: options.config.length > 0 });
  if (options.onMiss !== undefined && xds?.onDemand !== true) {
    throw new KmeshError('KM_USAGE', '--on-miss needs --xds-on-demand', {
      hint: 'otherwise every address of the mesh is known beforehand',
    });
  }
  if (xds) return { node: xds.node.nodeName, view: { network: xds.node.network, clusterId: xds.node.clusterId }, xds };
  const { network, clusterId } = options;
  return { node: options.node ?? hostname, view: { network, clusterId }, xds };
}

/** The control plane counts more than files. */
export async function sourceOpenings(
  env: Env,
  options: SourceOptions,
  { xds }: NodeSettings,
  log: Log,
): Promise<SourceOpening[]> {
  const openings: SourceOpening[] = [];
  if (xds) {
    // Brings gRPC along, which nobody else needs.
    const { openXdsSource } = await import('../source/xds/source.ts');
    openings.push({
      name: `xds ${serverText(xds.server)}`,
      open: (tell, onAnswer) =>
        openXdsSource({ settings: xds, tell, log, now: () => env.now(), ...(onAnswer && { onAnswer }) }),
    });
  }
  if (options.config.length > 0) openings.push(folderOpening(env, options, log));
  return openings;
}

function folderOpening(env: Env, { config, place }: SourceOptions, log: Log): SourceOpening {
  return {
    name: folderSourceName(config),
    open: (tell) =>
      openFolderSource({
        paths: config,
        stdin: env.stdin,
        log,
        tell,
        addresses: join(place.runDir, 'addresses.json'),
        ...threadOption(),
      }),
  };
}

/** The reading thread's script lies beside the bundle; from the sources everything is read in this thread. */
function threadOption(): { readonly thread?: URL } {
  const script = new URL('parse-worker.js', import.meta.url);
  return existsSync(fileURLToPath(script)) ? { thread: script } : {};
}
