// SPDX-License-Identifier: Apache-2.0
// When a waypoint's Envoy listens, and when it has nothing more to do: as its admin interface tells.
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../agent/log.ts';
import { KmeshError } from '../../errors.ts';
import { socketAddressText } from '../../net/socket-address.ts';
import type { Control } from './run-ads.ts';
import type { ProxyProcess } from './run-proxy.ts';

/** Name of the listener that the control plane tells of. */
const listener = 'waypoint';
const pollMs = 50;
/** What is waited for is told again after this. */
const againMs = 10_000;

interface Listeners {
  readonly listener_statuses?: readonly {
    readonly name?: string;
    readonly local_address?: { readonly socket_address?: { readonly address?: string; readonly port_value?: number } };
  }[];
}

interface Dump {
  readonly configs?: readonly {
    readonly name?: string;
    readonly error_state?: { readonly details?: string };
  }[];
}

/** ADDRESS:PORT of the listener, or undefined. */
export function listenerAddress(answer: string): string | undefined {
  const { listener_statuses = [] } = JSON.parse(answer) as Listeners;
  const { address, port_value } =
    listener_statuses.find(({ name }) => name === listener)?.local_address?.socket_address ?? {};
  return address === undefined || port_value === undefined ? undefined : socketAddressText(address, port_value);
}

/** Why the listener was refused, or undefined. */
export function listenerFault(dump: string): string | undefined {
  const { configs = [] } = JSON.parse(dump) as Dump;
  return configs.find(({ name }) => name === listener)?.error_state?.details;
}

export type Listening = { readonly at: string } | { readonly fault: KmeshError };

export interface Waiting {
  /** Milliseconds. */
  readonly patienceMs: number;
  readonly control: Control;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Resolves once it listens, or it is known that it will not; never after it has ended. */
export async function listening(
  proxy: ProxyProcess,
  { patienceMs, control, log, signal }: Waiting,
): Promise<Listening> {
  const begun = performance.now();
  let told = begun;
  let over = false;
  void proxy.ended.then(() => {
    over = true;
  });
  while (!over && !signal.aborted) {
    const { at, refused, isBound } = await look(proxy);
    if (at !== undefined) return { at };
    if (refused !== undefined && /cannot bind/i.test(refused)) {
      const hint = 'end what listens there, or choose another address with --listen, or network with --netns';
      return { fault: new KmeshError('KM_LISTEN', `Envoy cannot listen: ${refused}`, { hint }) };
    }
    const missing = isBound ? 'its listener waits for what it needs' : 'the control plane has told it of no listener';
    const why = refused ?? control.fault() ?? missing;
    const passed = performance.now() - begun;
    if (passed >= patienceMs) {
      const text = `Envoy does not listen after ${Math.round(patienceMs / 1000)} s: ${why}`;
      return { fault: new KmeshError('KM_TIMEOUT', text) };
    }
    if (performance.now() - told > againMs) {
      log.warn({ reason: why }, 'the proxy does not listen yet');
      told = performance.now();
    }
    await pause(pollMs);
  }
  return new Promise(() => {});
}

interface Look {
  readonly at?: string;
  readonly refused?: string;
  /** It has its listener, and refuses connections yet. */
  readonly isBound?: boolean;
}

/** An admin interface that does not answer is not there yet. An Envoy that starts lists a listener before it listens, which it does once it is live. */
async function look(proxy: ProxyProcess): Promise<Look> {
  try {
    const at = listenerAddress(await proxy.admin('/listeners?format=json'));
    if (at !== undefined) return (await isLive(proxy)) ? { at } : { isBound: true };
    const refused = listenerFault(await proxy.admin('/config_dump?resource=dynamic_listeners'));
    return refused === undefined ? {} : { refused };
  } catch {
    return {};
  }
}

function isLive(proxy: ProxyProcess): Promise<boolean> {
  return proxy.admin('/ready').then(
    () => true,
    () => false,
  );
}

/** Open connections of clients, from Envoy's counters as text. */
export function openConnections(stats: string): number {
  const counts = [
    ...stats.matchAll(/^listener\.(?!admin\.)(?!\S*\.worker_)\S*downstream_(?:pre_)?cx_active: (\d+)$/gm),
  ];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/**
 * Asks its clients to go elsewhere while it still serves all, then takes no more of them; resolves when none is left, or so many milliseconds
 * are over.
 */
export async function drained(proxy: ProxyProcess, ms: number): Promise<void> {
  const end = performance.now() + ms;
  const empty = async (until: number): Promise<void> => {
    while (openConnections(await proxy.admin('/stats?filter=downstream_(pre_)?cx_active')) > 0) {
      if (performance.now() >= until) return;
      await pause(pollMs);
    }
  };
  try {
    await proxy.admin('/drain_listeners?graceful&skip_exit', 'POST');
    await empty(end - ms / 4);
    await proxy.admin('/drain_listeners', 'POST');
    await empty(end);
  } catch {
    // It does not answer: there is nothing to wait for.
  }
}
