// SPDX-License-Identifier: Apache-2.0
// The control plane on a unix socket beside the proxy, for a proxy in a network namespace of its own reaches no port of the node:
// that of the node or of somebody else, passed on byte by byte, or one in this process.
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../../agent/log.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError, messageOf } from '../../errors.ts';
import { type ListenAddress, parseListenAddress } from '../../net/socket-address.ts';
import { type FilesOptions, openFilesControl } from './from-files.ts';
import { knownToNode, nodeControl } from './run-node.ts';
import type { Known } from './run-where.ts';

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
  await nodeAds(place);
  return relayed(
    () => nodeAds(place),
    (key) => knownToNode(place, key),
    log,
  );
}

async function fromFiles(env: Env, options: FilesOptions, log: Log): Promise<Control> {
  const { server, model, unread, close } = await openFilesControl(env, options, log);
  return {
    known: async (key) => {
      const why = unread();
      if (why !== undefined) throw new KmeshError('KM_CONFIG', `there is no configuration: ${why}`);
      return { gateway: model().gateways.get(key), names: [...model().gateways.keys()].sort() };
    },
    open: async (path) => void (await server.listen(`unix:${path}`)),
    fault: () => undefined,
    close,
  };
}

/** Somebody else's control plane may know what nobody here does. */
const toleratingKnown =
  (place: Place) =>
  async (key: string): Promise<Known> => {
    try {
      return await knownToNode(place, key);
    } catch (error) {
      if (error instanceof KmeshError && ['KM_AGENT_UNREACHABLE', 'KM_CONFIG'].includes(error.code))
        return { gateway: undefined, names: [] };
      throw error;
    }
  };

type Target = { readonly path: string } | { readonly host: string; readonly port: number };

/** Of a server that listens on all addresses. */
const loopback: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

const targetOf = ({ host = '127.0.0.1', port }: ListenAddress): Target => ({ host: loopback[host] ?? host, port });

/** Where proxies of this node are told. */
async function nodeAds(place: Place): Promise<Target> {
  const { at } = await nodeControl(place);
  // That of the node needs no certificates.
  if (at.socket !== undefined) return { path: at.socket };
  return targetOf(parseListenAddress(at.address) as ListenAddress);
}

const targetText = (at: Target): string => ('path' in at ? at.path : `${at.host}:${at.port}`);

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
        say(`${targetText(at)}: ${messageOf(error)}`);
        near.destroy();
      });
      far.once('connect', () => say(undefined));
      joined(near, far);
    } catch (error) {
      say(messageOf(error));
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
