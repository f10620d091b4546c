// SPDX-License-Identifier: Apache-2.0
// Where a waypoint that is run here is to listen: read at its start, and looked after as long as it runs.
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../agent/log.ts';
import type { KmeshError } from '../../errors.ts';
import type { Address } from '../../net/address.ts';
import type { ListenAddress } from '../../net/socket-address.ts';
import type { Control } from './run-ads.ts';
import { addressesIn, type Known, listenOf, reachableAt, requireUsable, type Where } from './run-where.ts';

/** Milliseconds between two looks. */
const everyMs = 500;
/** The same while a control plane that has just begun does not know the Gateway yet. */
const soonMs = 200;
/** Looks that fail until that is said: a control plane that was started anew has to read everything first. */
const patience = 12;

export interface Wanted {
  readonly where: Where;
  /** Where others find it. */
  readonly reachable: readonly Address[];
}

export interface Following {
  readonly now: Wanted;
  /** Resolves once it is to listen elsewhere than `where`; `now` says where. Of several that ask, the last one is told. */
  moved(where: Where): Promise<'moved'>;
  close(): void;
}

export interface Followed {
  readonly control: Control;
  /** "namespace/name" */
  readonly key: string;
  /** Path of the network namespace. */
  readonly network: string;
  /** Given by hand. */
  readonly listen?: ListenAddress;
  readonly log: Log;
  /** Milliseconds that a control plane may take to be ready. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** @throws KmeshError when it can be run nowhere. */
export async function follow(options: Followed): Promise<Following> {
  const { control, key, network, listen, log, timeoutMs, signal } = options;
  const look = async (given?: Known): Promise<Wanted> => {
    const known = given ?? (await control.known(key));
    requireUsable(key, known, listen);
    const own = addressesIn(network);
    const where = listenOf(key, known.gateway, own, listen);
    return { where, reachable: reachableAt(where.host, known.gateway, own) };
  };
  const first = async (): Promise<Known> => {
    const deadline = performance.now() + timeoutMs;
    for (let told = false; ; told = true) {
      const known = await control.known(key);
      const { gateway, unready } = known;
      if (gateway || listen || !unready || signal.aborted || performance.now() > deadline) return known;
      if (!told) log.info({ reasons: unready }, 'waits for the control plane of this node to be ready');
      await pause(soonMs);
    }
  };
  let now = await look(await first());
  let asked: { readonly text: string; readonly resolve: (word: 'moved') => void } | undefined;
  let failed = 0;
  const again = async (): Promise<void> => {
    try {
      now = await look();
      if (failed >= patience) log.info({ listen: now.where.text }, 'the Gateway can be followed again');
      failed = 0;
      if (asked && asked.text !== now.where.text) asked.resolve('moved');
    } catch (error) {
      // A control plane that is away is told of elsewhere; what it said last holds.
      const { code, message } = error as KmeshError;
      if (code === 'KM_AGENT_UNREACHABLE' || ++failed !== patience) return;
      log.warn(
        { listen: now.where.text, reason: message },
        'the Gateway cannot be followed: the waypoint stays where it is',
      );
    }
  };
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const round = (): void => {
    timer = setTimeout(async () => {
      await again();
      if (!closed) round();
    }, everyMs);
  };
  round();
  return {
    get now() {
      return now;
    },
    moved: ({ text }) =>
      new Promise((resolve) => {
        asked = { text, resolve };
        if (text !== now.where.text) resolve('moved');
      }),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
