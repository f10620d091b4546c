// SPDX-License-Identifier: Apache-2.0
// A control plane as a source: keeps a stream to it open, takes in what it says, and answers once that is applied.
import { KmeshError, stackOf } from '../../errors.ts';
import type { Source, Tell } from '../news.ts';
import type { Resolver } from '../resolve.ts';
import { systemResolver } from '../system-resolver.ts';
import { realTimers, type Timers } from '../timers.ts';
import { openBackoff } from './backoff.ts';
import { openDemandQueue, type Wish } from './demand-queue.ts';
import { openIntake } from './intake.ts';
import { nodeIdentity } from './node.ts';
import { openSession } from './session.ts';
import { serverText, type XdsSettings } from './settings.ts';
import { openTransport, type Stream } from './transport.ts';
import type { OnAnswer, StreamEndReason, XdsLog, XdsStatus } from './types.ts';

export interface XdsSourceOptions {
  readonly settings: XdsSettings;
  readonly tell: Tell;
  readonly log: XdsLog;
  /** Of host names that workloads have. */
  readonly resolver?: Resolver;
  readonly timers?: Timers;
  /** In [0, 1). */
  readonly random?: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly clock?: () => number;
  readonly onAnswer?: OnAnswer | undefined;
}

export interface XdsSource extends Source {
  status(): XdsStatus;
  /**
   * Ends the stream and begins another one at once, with the versions of what is held. Resolves when the first response of each type is applied;
   * rejects with KM_XDS when that stream ends before.
   */
  reload(): Promise<void>;
  /** On demand: asks for names that nobody asked for yet. What is wanted right after opening is waited for (30 s) before anything is told. */
  want(names: Iterable<string>): void;
  /** Asks again for names: a control plane does not tell when an absent address comes to be, nor of new workloads of a service. */
  again(names: Iterable<string>): void;
  unwant(names: Iterable<string>): void;
}

export function openXdsSource(options: XdsSourceOptions): XdsSource {
  const { settings, log, now, clock = () => performance.now() } = options;
  const timers = options.timers ?? realTimers;
  const { node, onDemand } = settings;
  const server = serverText(settings.server);
  const name = `xds ${server}`;
  const transport = openTransport(settings.server, timers);
  const session = openSession({ node: nodeIdentity(node), onDemand });
  const backoff = openBackoff(options.random ?? Math.random);
  const intake = openIntake({
    name,
    resolver: options.resolver ?? systemResolver(),
    session,
    timers,
    now,
    log,
    tell: options.tell,
    onAnswer: onDemand ? options.onAnswer : undefined,
  });

  const state = { connected: false, since: now(), streams: 0, lastFault: '' };
  const ended: Record<StreamEndReason, number> = { connection_error: 0, error: 0, reconnect: 0, complete: 0 };
  const connect = (connected: boolean) => {
    if (state.connected === connected) return;
    state.connected = connected;
    state.since = now();
    if (connected) log.info({ server }, 'control plane answers');
  };
  let stream: Stream | undefined;
  let closing = false;
  /** Those that asked to read again and wait for a stream to do so. */
  let reloading: Reload[] = [];
  let wake = () => {};

  const demand = openDemandQueue((wish: Wish, names) => {
    const { requests, present } =
      wish === 'unwant' ? { requests: session.unwant(names), present: [] } : session[wish](names);
    intake.send(requests);
    if (present.length > 0) options.onAnswer?.(present, []);
  });

  /** One stream from its beginning to its end. */
  const runStream = async () => {
    const begunAt = clock();
    const reloads = reloading;
    reloading = [];
    state.streams++;
    stream = transport.open({ clusterId: node.clusterId });
    const facts = await intake.run(stream, {
      onBegin: () => demand.flush(),
      onConnected: () => connect(true),
      onRead() {
        for (const { resolve } of reloads) resolve();
      },
    });
    const { clean, fault } = await stream.ended;
    const answered = state.connected;
    connect(false);
    const reason = facts.fault || fault;
    if (facts.fault !== '') ended.error++;
    else if (clean) ended.complete++;
    else if (fault === '') ended.reconnect++;
    else ended[answered ? 'error' : 'connection_error']++;
    if (reason !== '' || clean) {
      const known = reason === state.lastFault;
      state.lastFault = reason || 'closed by the server';
      if (!closing)
        log[known || clean ? 'debug' : 'warn'](
          { server, fault: state.lastFault },
          'stream to the control plane is over',
        );
    }
    for (const { reject } of reloads) {
      reject(new KmeshError('KM_XDS', `"${server}" did not tell everything again: ${state.lastFault || 'cut off'}`));
    }
    return backoff.pauseAfter({ clean: clean && facts.fault === '', answered, begunAt, endedAt: clock() });
  };

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const cancel = timers.after(ms, resolve);
      wake = () => {
        cancel();
        resolve();
      };
    });

  const run = async () => {
    while (!closing) {
      let wait: number;
      try {
        wait = await runStream();
      } catch (error) {
        // A promise inside was broken. What is held stays, and the next stream starts over.
        stream?.cancel();
        log.error({ fault: stackOf(error) }, 'control plane cannot be followed');
        wait = 1000;
      }
      if (closing) return;
      if (reloading.length === 0 && wait > 0) await pause(wait);
    }
  };
  const running = run();

  return {
    name,
    reload() {
      if (closing) return Promise.reject(new KmeshError('KM_XDS', `"${server}" is not followed any more`));
      return new Promise((resolve, reject) => {
        reloading.push({ resolve, reject });
        stream?.cancel();
        wake();
      });
    },
    async close() {
      closing = true;
      demand.close();
      intake.close();
      stream?.cancel();
      wake();
      await running;
      for (const { reject } of reloading) reject(new KmeshError('KM_XDS', `"${server}" is not followed any more`));
    },
    status: () => ({
      server,
      ...state,
      ended: { ...ended },
      onDemand,
      demanded: session.demanded,
      absent: session.absent,
      types: session.status(),
    }),
    want: (names) => demand.add('want', names),
    again: (names) => demand.add('again', names),
    unwant: (names) => demand.add('unwant', names),
  };
}

interface Reload {
  readonly resolve: () => void;
  readonly reject: (error: KmeshError) => void;
}
