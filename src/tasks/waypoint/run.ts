// SPDX-License-Identifier: Apache-2.0
// A waypoint on this node: a stock Envoy in a cgroup enrolled as a waypoint, told by a control plane, kept running until told to stop.
import { chownSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { LogLevel } from '../../admin/types.ts';
import { type Log, openLog } from '../../agent/log.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { ownNetns } from '../../kernel/netns.ts';
import type { Address } from '../../net/address.ts';
import type { ListenAddress } from '../../net/socket-address.ts';
import { type AuthzChoice, netnsPath } from '../judged-network.ts';
import { type ClusterOptions, openCluster } from './open.ts';
import { type Control, openControl } from './run-ads.ts';
import {
  adminSocket,
  adsSocket,
  type BootstrapOptions,
  checkArgs,
  type ProxyArgs,
  proxyArgs,
} from './run-bootstrap.ts';
import { type Following, follow } from './run-follow.ts';
import { ended, endMs, openLeaving } from './run-leaving.ts';
import { type Listening, listening } from './run-life.ts';
import { placeOfNode } from './run-node.ts';
import { findProxy, type Program, type ProxyProcess, readUser, startProxy, type User } from './run-proxy.ts';
import { openReporter } from './run-report.ts';
import { openRoom, type Room } from './run-room.ts';

export interface RunOptions extends Omit<ProxyArgs, 'bootstrap' | 'more'>, ClusterOptions {
  readonly place: Place;
  readonly name: string;
  /** Default: "envoy" in PATH. */
  readonly proxy?: string;
  readonly ads?: ListenAddress;
  readonly config: readonly string[];
  readonly listen?: ListenAddress;
  /** Name under /run/netns, or a path. */
  readonly netns?: string;
  readonly authz: AuthzChoice;
  readonly user: string;
  /** Milliseconds until the proxy has to listen. */
  readonly timeout: number;
  /** End with the proxy, by its exit code. */
  readonly noRestart: boolean;
  readonly logLevel: LogLevel;
  /** How the line is written that says that it listens. */
  readonly output: string;
  /** More arguments for the proxy. */
  readonly args: readonly string[];
}

export interface Ready {
  readonly waypoint: string;
  /** ADDRESS:PORT */
  readonly listen: string;
  readonly pid: number;
  /** Of Envoy. */
  readonly version: string;
  /** How often it was started again. */
  readonly restarts: number;
}

/** Backoff of restarts; one that ran for longer than the last of it begins anew. */
const firstPauseMs = 100;
const longestPauseMs = 10_000;

/** Resolves once env.signal is aborted and nothing is left, or (asked so) when the proxy has ended. */
export async function runWaypoint(env: Env, options: RunOptions): Promise<{ readonly exitCode: number }> {
  const { place, name, netns } = options;
  // Only who names a cluster wants it to be told.
  const cluster =
    options.kubeconfig === undefined && options.context === undefined ? undefined : await openCluster(env, options);
  const namespace = options.namespace ?? cluster?.namespace ?? 'default';
  const key = `${namespace}/${name}`;
  if (!/^[a-z0-9][-a-z0-9]*\/[a-z0-9][-.a-z0-9]*$/.test(key) || key.length > 200) {
    throw new KmeshError('KM_USAGE', `"${key}" is no name of a waypoint`, { hint: 'give NAME, and -n NAMESPACE' });
  }
  checkArgs(options.args);
  const [program, user] = [await findProxy(env, options.proxy), await readUser(options.user)];
  const log = openLog(env.stderr, options.logLevel, { waypoint: key });
  // With --config it has everything read again; else there is nothing to read, and nothing to die of either.
  const stopHangup =
    options.config.length > 0 ? undefined : env.onHangup?.(() => log.info({}, 'SIGHUP: nothing is read here'));
  const reporter = cluster && (await openReporter(env, cluster, { namespace, name }, log));
  // A control plane of its own names the waypoint itself, line by line.
  const control = await openControl(
    env,
    options,
    options.config.length > 0 ? openLog(env.stderr, options.logLevel, {}) : log,
  );
  let room: Room | undefined;
  let following: Following | undefined;
  try {
    const network = netns === undefined ? ownNetns : netnsPath(netns);
    const { listen, timeout: timeoutMs } = options;
    following = await follow({ ...(listen && { listen }), control, key, network, log, timeoutMs, signal: env.signal });
    room = await openRoom(env, { ...options, namespace, netns: network, user, log });
    const ads = join(room.near, adsSocket);
    await control.open(ads);
    chownSync(ads, user.uid, user.gid);
    const node = await placeOfNode(env, place);
    return await supervise(env, options, {
      ...{ key, program, user, node, log, control, room, following },
      netns: netns === undefined ? undefined : network,
      ready: (addresses) => reporter?.ready(addresses),
      stop: () => void reporter?.close(),
    });
  } finally {
    following?.close();
    stopHangup?.();
    await reporter?.close();
    await control.close();
    await room?.close();
  }
}

interface Running {
  readonly key: string;
  readonly program: Program;
  readonly user: User;
  readonly node: Pick<BootstrapOptions, 'node' | 'locality'>;
  readonly log: Log;
  readonly control: Control;
  readonly room: Room;
  readonly following: Following;
  readonly netns: string | undefined;
  /** Called each time that it listens, with where others find it. */
  readonly ready: (addresses: readonly Address[]) => void;
  /** Called once it is to end. */
  readonly stop: () => void;
}

/** Keeps a proxy running. */
async function supervise(env: Env, options: RunOptions, running: Running): Promise<{ readonly exitCode: number }> {
  const { key, log, room, control, program, node, following } = running;
  const stopped = aborted(env.signal);
  const leaving = openLeaving(options.drain);
  const end = async (proxy: ProxyProcess, drainMs: number): Promise<{ readonly exitCode: number }> => {
    await Promise.all([ended(proxy, drainMs), leaving.close()]);
    return { exitCode: 0 };
  };
  let wait = firstPauseMs;
  for (let restarts = 0; ; restarts++) {
    const begun = performance.now();
    rmSync(join(room.near, adminSocket), { force: true });
    const { where, reachable } = following.now;
    const bootstrap = { waypoint: key, listen: where.text, ...node };
    const proxy = startProxy({
      ...running,
      args: proxyArgs({ ...options, bootstrap, more: options.args }),
      lowPort: where.port > 0 && where.port < 1024,
      log: env.stderr,
    });
    const patienceMs = restarts === 0 ? options.timeout : Number.POSITIVE_INFINITY;
    const state = await Promise.race([
      listening(proxy, { patienceMs, control, log, signal: env.signal }),
      proxy.ended.then(() => 'ended' as const),
      following.moved(where),
      stopped,
    ]);
    if (state === 'stopped') return end(proxy, 0);
    if (state === 'moved') {
      await ended(proxy, 0);
      continue;
    }
    if (restarts === 0) await requireListening(state, proxy);
    if (typeof state === 'object' && 'at' in state) {
      const { version } = program;
      tell(env, options.output, { waypoint: key, listen: state.at, pid: proxy.pid, version, restarts });
      running.ready(reachable);
      leaving.release();
      const over = await Promise.race([proxy.ended, stopped, following.moved(where)]);
      if (over === 'stopped') {
        log.info({ drain: options.drain }, 'the waypoint ends');
        room.ending(options.drain + endMs);
        running.stop();
        return end(proxy, options.drain);
      }
      if (over === 'moved') {
        const to = following.now.where.text;
        log.info(
          { from: where.text, to, drain: options.drain },
          'the Gateway is elsewhere now: Envoy is started there',
        );
        leaving.add(proxy);
        continue;
      }
    } else if (state !== 'ended') {
      log.error({ reason: state.fault }, 'the proxy does not listen');
      proxy.kill('SIGKILL');
    }
    const { code, text } = await proxy.ended;
    if (options.noRestart) return { exitCode: code };
    if (performance.now() - begun > longestPauseMs) wait = firstPauseMs;
    log.error({ ended: text, said: proxy.complaint(), pause: wait }, 'the proxy has ended, and is started again');
    if ((await Promise.race([pause(wait), stopped])) === 'stopped') return end(proxy, 0);
    wait = Math.min(longestPauseMs, wait * 2);
  }
}

/** What does not even start the first time was asked for wrongly. */
async function requireListening(state: Listening | 'ended', proxy: ProxyProcess): Promise<void> {
  if (state === 'ended') {
    const { text } = await proxy.ended;
    const said = proxy.complaint();
    throw new KmeshError('KM_PROXY', `Envoy ended before it listened (${text})${said === '' ? '' : `: ${said}`}`);
  }
  if ('fault' in state) throw state.fault;
}

function aborted(signal: AbortSignal): Promise<'stopped'> {
  return new Promise((done) => {
    if (signal.aborted) done('stopped');
    else signal.addEventListener('abort', () => done('stopped'), { once: true });
  });
}

function tell(env: Env, output: string, ready: Ready): void {
  // Who waited for the first line may have gone.
  if (env.stdout.listenerCount('error') === 0) env.stdout.on('error', () => {});
  const { waypoint, listen, pid, version } = ready;
  const line = `waypoint ${waypoint} is ready: Envoy ${version}, process ${pid}, listens on ${listen}`;
  const text = output === 'table' ? line : JSON.stringify(ready);
  env.stdout.write(`${output === 'yaml' ? '--- ' : ''}${text}\n`);
}
