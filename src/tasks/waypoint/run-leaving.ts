// SPDX-License-Identifier: Apache-2.0
// The end of a waypoint's Envoy: at once, or when its clients have gone; where its waypoint is elsewhere now, once another one serves there.
import { setTimeout as pause } from 'node:timers/promises';
import { drained } from './run-life.ts';
import type { ProxyProcess } from './run-proxy.ts';

/** After SIGTERM, until it is killed. */
export const endMs = 2000;

/** Lets requests finish for so many milliseconds, then ends it. */
export async function ended(proxy: ProxyProcess, drainMs: number): Promise<void> {
  if (drainMs > 0) await Promise.race([drained(proxy, drainMs), proxy.ended]);
  proxy.kill('SIGTERM');
  await Promise.race([proxy.ended, pause(endMs)]);
  proxy.kill('SIGKILL');
  await proxy.ended;
}

/** Those where the waypoint was before. */
export interface Leaving {
  /** Serves on until another one does. */
  add(proxy: ProxyProcess): void;
  /** Another one serves. */
  release(): void;
  /** Resolves once all have ended. */
  close(): Promise<void>;
}

export function openLeaving(drainMs: number): Leaving {
  const waiting: ProxyProcess[] = [];
  const going = new Set<Promise<void>>();
  const release = (): void => {
    for (const proxy of waiting.splice(0)) {
      const over = ended(proxy, drainMs).then(() => void going.delete(over));
      going.add(over);
    }
  };
  return {
    add(proxy) {
      proxy.stepAside();
      waiting.push(proxy);
    },
    release,
    async close() {
      release();
      await Promise.all(going);
    },
  };
}
