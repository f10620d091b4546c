// SPDX-License-Identifier: Apache-2.0
// What an agent listens to, from its flags and the environment: a control plane, files, or both.
import { join } from 'node:path';
import type { Log } from '../agent/log.ts';
import type { SourceOpening } from '../agent/sources.ts';
import type { GivenView } from '../agent/view.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { defaultWaypointSettings, type Otherwise, parseBinding, type WaypointSettings } from '../mesh/gateway.ts';
import { folderSourceName, openFolderSource } from '../source/file/folder-source.ts';
import { readXdsSettings, serverText, type XdsFlags, type XdsSettings } from '../source/xds/settings.ts';
import { readingThread } from './reading-thread.ts';
import { lastGoodName } from './run-dir.ts';

export interface SourceOptions extends XdsFlags {
  readonly place: Place;
  /** Files and folders; '-' is standard input. */
  readonly config: readonly string[];
  /** What becomes of the first connection to an address that is not known yet; on demand only. */
  readonly onMiss?: 'direct' | 'refuse';
  /** What waypoints read first that do not say: "PROXY/15088". */
  readonly waypointBinding?: string;
  readonly waypointUnready?: Otherwise;
  readonly serverFirst?: Otherwise;
  /** "5672,9042" */
  readonly serverFirstPorts?: string;
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
  const waypoints = waypointSettings(options);
  if (xds) {
    const { network, clusterId, nodeName } = xds.node;
    return { node: nodeName, view: { network, clusterId, waypoints }, xds };
  }
  const { network, clusterId } = options;
  return { node: options.node || hostname, view: { network, clusterId, waypoints }, xds };
}

function waypointSettings(options: SourceOptions): WaypointSettings {
  const { waypointBinding, waypointUnready, serverFirst, serverFirstPorts } = options;
  const { binding, ...defaults } = defaultWaypointSettings;
  const said = waypointBinding === undefined ? binding : parseBinding(waypointBinding);
  if (!said) {
    const forms = 'PROXY, KMESH or NONE, or one of them with /PORT';
    throw new KmeshError('KM_USAGE', `--waypoint-binding must be ${forms}, got "${waypointBinding}"`);
  }
  return {
    binding: said,
    unready: waypointUnready ?? defaults.unready,
    serverFirst: serverFirst ?? defaults.serverFirst,
    ...(serverFirstPorts !== undefined && { serverFirstPorts: portsOf(serverFirstPorts) }),
  };
}

function portsOf(text: string): number[] {
  const words = text.split(',');
  const wrong = words.find((word) => !/^\d{1,5}$/.test(word) || Number(word) < 1 || Number(word) > 65_535);
  if (wrong === undefined) return words.map(Number);
  throw new KmeshError('KM_USAGE', `--server-first-ports must be numbers from 1 to 65535 with commas, got "${text}"`);
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
        lastGood: join(place.runDir, lastGoodName),
        ...readingThread(),
      }),
  };
}
