// SPDX-License-Identifier: Apache-2.0
// The control plane on a unix socket beside the proxy, for a proxy in a network namespace of its own reaches no port of the node:
// that of the agent or of somebody else, passed on byte by byte, or one in this process.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { adminClient } from '../../admin/client.ts';
import type { AgentStatus } from '../../admin/types.ts';
import type { Log } from '../../agent/log.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { type ListenAddress, parseListenAddress } from '../../net/socket-address.ts';
import { type FilesOptions, openFilesControl } from './from-files.ts';
import { type Known, knownToAgent } from './run-where.ts';

export interface Control {
  known(key: string): Promise<Known>;
  /** Begins to listen at the path. */
  open(path: string): Promise<void>;
  /** Why the proxy is told nothing; undefined: it is, or has not asked yet. */
  fault(): string | undefined;
  close(): Promise<void>;
}

export interface ControlOptions extends FilesOptions {
  readonly place: Place;
  readonly ads?: ListenAddress;
}

export async function openControl(env: Env, options: ControlOptions, log: Log): Promise<Control> {
  const { place, ads, config } = options;
  if (config.length > 0) {
    if (ads !== undefined) throw new KmeshError('KM_USAGE', '--ads and --config exclude each other');
    return fromFiles(env, options, log);
  }
  if (ads !== undefined) return relayed(async () => targetOf(ads), toleratingKnown(place), log);
  // Whoever starts this is told at once, and not by a proxy that waits.
  await agentAds(place);
  return relayed(
    () => agentAds(place),
    (key) => knownToAgent(place, key),
    log,
  );
}

async function fromFiles(env: Env, options: FilesOptions, log: Log): Promise<Control> {
  const { server, model, close } = await openFilesControl(env, options, log);
  return {
    known: async (key) => ({ gateway: model().gateways.get(key), names: [...model().gateways.keys()].sort() }),
    open: async (path) => void (await server.listen(`unix:${path}`)),
    fault: () => undefined,
    close,
  };
}

/** Somebody else's control plane may know what no agent here does. */
const toleratingKnown =
  (place: Place) =>
  async (key: string): Promise<Known> => {
    try {
      return await knownToAgent(place, key);
    } catch (error) {
      if (error instanceof KmeshError && error.code === 'KM_AGENT_UNREACHABLE')
        return { gateway: undefined, names: [] };
      throw error;
    }
  };

type Target = { readonly path: string } | { readonly host: string; readonly port: number };

/** Of a server that listens on all addresses. */
const loopback: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

const targetOf = ({ host = '127.0.0.1', port }: ListenAddress): Target => ({ host: loopback[host] ?? host, port });

/** Where the agent of this node serves waypoints. Asked for each connection: the agent may have been started anew elsewhere. */
async function agentAds({ runDir }: Place): Promise<Target> {
  const { waypointAds } = await statusOf(runDir);
  // That of the node needs no certificates.
  if (waypointAds?.socket !== undefined) return { path: waypointAds.socket };
  const at = waypointAds === undefined ? undefined : parseListenAddress(waypointAds.address);
  if (at !== undefined) return targetOf(at);
  throw new KmeshError('KM_CONFIG', 'the agent of this node serves no waypoints', {
    hint: 'start it with --waypoint-ads 127.0.0.1:15010, or give --ads ADDRESS or --config DIR',
  });
}

async function statusOf(runDir: string): Promise<AgentStatus> {
  try {
    return await adminClient(runDir).status({});
  } catch (error) {
    if (!(error instanceof KmeshError) || error.code !== 'KM_AGENT_UNREACHABLE') throw error;
    throw new KmeshError(error.code, error.message, {
      hint: 'start it with "kmeshctl agent --waypoint-ads 127.0.0.1:15010", or give --ads ADDRESS or --config DIR, or the --run-dir of the agent',
      cause: error.cause,
    });
  }
}

const targetText = (at: Target): string => ('path' in at ? at.path : `${at.host}:${at.port}`);

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function relayed(where: () => Promise<Target>, known: Control['known'], log: Log): Control {
  const open = new Set<Socket>();
  let fault: string | undefined;
  let server: Server | undefined;
  const say = (next: string | undefined): void => {
    if (next !== undefined && next !== fault) log.warn({ reason: next }, 'the control plane cannot be reached');
    fault = next;
  };
  const joined = (near: Socket, far: Socket): void => {
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  };
  const take = async (near: Socket): Promise<void> => {
    near.on('error', () => near.destroy());
    open.add(near);
    near.on('close', () => open.delete(near));
    try {
      const at = await where();
      if (near.destroyed) return;
      const far = connect(at);
      far.on('error', (error) => {
        say(`${targetText(at)}: ${reasonOf(error)}`);
        near.destroy();
      });
      far.once('connect', () => say(undefined));
      joined(near, far);
    } catch (error) {
      say(reasonOf(error));
      near.destroy();
    }
  };
  return {
    known,
    open: (path) =>
      new Promise((resolve, reject) => {
        server = createServer((near) => void take(near));
        server.once('error', reject);
        server.listen(path, () => resolve());
      }),
    fault: () => fault,
    close: async () => {
      server?.close();
      for (const socket of open) socket.destroy();
    },
  };
}
