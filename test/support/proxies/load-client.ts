// SPDX-License-Identifier: Apache-2.0
// The client's load: requests one after the other by several at once, and what became of each.
import { Agent, request as ask, type ClientRequest } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Told } from './backend.ts';
import { within } from './serve.ts';

export interface Load {
  readonly host: string;
  readonly port: number;
  readonly workers: number;
  /** One connection for each of them, a new one when it is closed; else one for each request. */
  readonly kept: boolean;
}

export interface Tally {
  /** Requests that were answered. */
  answered: number;
  /** Those that were tried again, since a kept connection was closed before a byte of the answer came. */
  again: number;
  /** Code or status -> how often. HANG: nothing came within a minute. */
  readonly failed: Record<string, number>;
}

interface Running {
  readonly tally: Tally;
  over: boolean;
  readonly done: Promise<unknown>;
}

const running = new Map<number, Running>();
let last = 0;

class Closed extends Error {}

function once({ host, port }: Load, agent: Agent | false): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const call: ClientRequest = ask({ host, port, path: '/load', headers: { host: 'shop' }, agent }, (response) => {
      let text = '';
      response.on('data', (part) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(Object.assign(new Error(text), { code: response.statusCode }));
        const { path } = JSON.parse(text) as Told;
        if (path === '/load') resolve();
        else reject(Object.assign(new Error(text), { code: 'ANOTHER' }));
      });
    });
    // The other side may end a kept connection at any time; whoever sends the next request then sends it again.
    call.on('error', (error: NodeJS.ErrnoException) => reject(call.reusedSocket ? new Closed() : error));
    call.end();
  });
}

async function work(load: Load, running: Running): Promise<void> {
  const agent = load.kept && new Agent({ keepAlive: true, maxSockets: 1 });
  const { tally } = running;
  while (!running.over) {
    try {
      await within(once(load, agent), 'request');
      tally.answered++;
    } catch (error) {
      if (error instanceof Closed) {
        tally.again++;
        continue;
      }
      const code = String((error as NodeJS.ErrnoException).code ?? error);
      tally.failed[code] = (tally.failed[code] ?? 0) + 1;
      // Nobody calls again at once, without end.
      await pause(5);
    }
  }
  if (agent) agent.destroy();
}

/** Its number. */
export function begin(load: Load): number {
  const one: { -readonly [K in keyof Running]: Running[K] } = {
    tally: { answered: 0, again: 0, failed: {} },
    over: false,
    done: Promise.resolve(),
  };
  one.done = Promise.all(Array.from({ length: load.workers }, () => work(load, one)));
  running.set(++last, one);
  return last;
}

export const soFar = (id: number): Tally | undefined => running.get(id)?.tally;

export async function end(id: number): Promise<Tally | undefined> {
  const one = running.get(id);
  if (!one) return undefined;
  one.over = true;
  await one.done;
  return one.tally;
}
