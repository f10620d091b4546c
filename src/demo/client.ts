// SPDX-License-Identifier: Apache-2.0
// Entry of its own: a client that carries out the orders of protocol.ts. Ends with its stdin.
import { createSocket } from 'node:dgram';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import type { Answer, Order, Tally, Target } from './protocol.ts';

const timeoutMs = 3000;

class CallError extends Error {}

const failed = (error: unknown): string => {
  if (error instanceof CallError) return error.message;
  return (error as NodeJS.ErrnoException).code ?? String(error);
};

/** One request on a connection of its own. */
function callHttp({ host, port, path = '/', headers = {} }: Target): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host, port, path, headers, agent: false, timeout: timeoutMs } as const;
    const call = request(options, (response) => {
      const { statusCode } = response;
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => {
        text += part;
      });
      response.on('end', () => resolve(statusCode === 200 ? text.trim() : `status ${statusCode}`));
      response.on('error', reject);
    });
    call.on('timeout', () => call.destroy(new CallError('timeout')));
    call.on('error', reject);
    call.end();
  });
}

/** One datagram on a socket of its own; the reply must come from the address that was asked. */
function callUdp(target: Target): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(target.host.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => end(new CallError('timeout')), timeoutMs);
    const end = (error: Error | null, name = '') => {
      clearTimeout(timer);
      socket.close();
      if (error) reject(error);
      else resolve(name);
    };
    socket.once('error', end);
    socket.once('message', (data, source) => {
      const same = source.address === target.host && source.port === target.port;
      end(same ? null : new CallError('source'), data.toString());
    });
    socket.send('?', target.port, target.host, (error) => error && end(error));
  });
}

interface Count {
  readonly target: Target;
  readonly answers: Record<string, number>;
  readonly errors: Record<string, number>;
  readonly last: Record<string, number>;
  readonly times: number[];
}

const counting = (target: Target): Count => ({ target, answers: {}, errors: {}, last: {}, times: [] });

async function once(count: Count): Promise<void> {
  const start = process.hrtime.bigint();
  try {
    const name = await (count.target.protocol === 'http' ? callHttp(count.target) : callUdp(count.target));
    count.answers[name] = (count.answers[name] ?? 0) + 1;
    count.last[name] = performance.timeOrigin + performance.now();
  } catch (error) {
    const code = failed(error);
    count.errors[code] = (count.errors[code] ?? 0) + 1;
  }
  count.times.push(Number(process.hrtime.bigint() - start) / 1000);
}

function tallied(count: Count): Tally {
  const sorted = count.times.sort((a, b) => a - b);
  const at = (part: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0);
  const { target, answers, errors, last } = count;
  return { target, calls: sorted.length, answers, errors, last, median: at(0.5), p99: at(0.99) };
}

async function calls(target: Target, total: number, parallel: number): Promise<Tally> {
  const count = counting(target);
  let left = total;
  const worker = async () => {
    while (left-- > 0) await once(count);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return tallied(count);
}

/** Calls in turn until `stop` is set. */
async function turns(counts: readonly Count[], limit: number, state: { stop: boolean }): Promise<readonly Tally[]> {
  for (let i = 0; i < limit && !state.stop; i++) await once(counts[i % counts.length] as Count);
  return counts.map(tallied);
}

const answer = (value: Answer) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function main(): Promise<void> {
  let background: { readonly state: { stop: boolean }; readonly done: Promise<readonly Tally[]> } | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as Order;
    if (order.kind === 'calls') {
      answer({ id: order.id, tallies: [await calls(order.target, order.calls, order.parallel)] });
    } else if (order.kind === 'begin') {
      const state = { stop: false };
      background = { state, done: turns(order.targets.map(counting), order.limit, state) };
      answer({ id: order.id, tallies: [] });
    } else {
      if (background) background.state.stop = true;
      answer({ id: order.id, tallies: (await background?.done) ?? [] });
      background = undefined;
    }
  }
}

await main();
