// SPDX-License-Identifier: Apache-2.0
// Drives the client process of a pod, and judges what it reports.
import { createInterface } from 'node:readline';
import { KmeshError } from '../errors.ts';
import type { Pod } from './lab.ts';
import type { Answer, Order, Tally, Target } from './protocol.ts';
import { type Judgement, judgeShares, mostSigmas } from './shares.ts';
import type { ShopCall } from './shop.ts';

type Distribute<T> = T extends unknown ? Omit<T, 'id'> : never;

export interface Client {
  /** Sends an order and waits until it is carried out. @throws KmeshError KM_DEMO when the client is gone. */
  order(order: Distribute<Order>): Promise<readonly Tally[]>;
  stop(): Promise<void>;
}

/** Starts the client script in a pod. */
export function startClient(pod: Pod, node: string, script: string): Client {
  const running = pod.start(node, [script]);
  const { stdin, stdout, stderr } = running.child;
  const waiting = new Map<number, { resolve(t: readonly Tally[]): void; reject(e: Error): void }>();
  let said = '';
  let gone = false;
  let ids = 0;
  stdin?.on('error', () => undefined);
  stderr?.on('data', (part) => {
    said += part;
  });
  createInterface({ input: stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const answer = JSON.parse(line) as Answer;
    waiting.get(answer.id)?.resolve(answer.tallies);
    waiting.delete(answer.id);
  });
  const lost = () =>
    new KmeshError('KM_DEMO', `the client in pod "${pod.name}" ended${said ? `: ${said.trim()}` : ''}`);
  void running.ended.then(() => {
    gone = true;
    for (const { reject } of waiting.values()) reject(lost());
    waiting.clear();
  });
  return {
    order: (order) =>
      new Promise((resolve, reject) => {
        if (gone) {
          reject(lost());
          return;
        }
        const id = ids++;
        waiting.set(id, { resolve, reject });
        stdin?.write(`${JSON.stringify({ id, ...order })}\n`);
      }),
    async stop() {
      await running.stop();
    },
  };
}

/** Calls to one service address: how they went, and whether that is as it should be. */
export interface CallResult {
  readonly service: string;
  readonly protocol: 'http' | 'udp';
  /** "10.96.0.10:80", "[fd96::10]:80/path" */
  readonly address: string;
  readonly calls: number;
  readonly lost: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly answers: Readonly<Record<string, number>>;
  /** Name -> part of the calls it should answer, 0 to 1. */
  readonly expected: Readonly<Record<string, number>>;
  /** Largest distance from it in standard deviations. */
  readonly sigmas: number;
  /** Microseconds. */
  readonly median: number;
  readonly p99: number;
  /** What must not happen; empty when all is well. */
  readonly faults: readonly string[];
}

function faultsOf(tally: Tally, judged: Judgement, anyShare: boolean): string[] {
  const faults = Object.entries(tally.errors).map(([code, n]) => `${n} calls lost (${code})`);
  for (const name of judged.strangers) faults.push(`"${name}" answered, but does not belong to the service`);
  for (const share of judged.shares) {
    if (share.expected === 0 && share.count > 0)
      faults.push(`"${share.name}" answered ${share.count} times, but gets no calls`);
    else if (!anyShare && share.sigmas > mostSigmas && share.expected < 1) {
      const part = (x: number) => `${(100 * x).toFixed(1)} %`;
      const got = `${part(share.count / judged.total)} of ${judged.total} calls`;
      faults.push(
        `"${share.name}" got ${got} instead of ${part(share.expected)}: ${share.sigmas.toFixed(1)} sigma off`,
      );
    }
  }
  return faults;
}

/** "10.96.0.10:80/path (header: value)" */
export function addressText({ host, port, path = '', headers = {} }: Target): string {
  const said = Object.entries(headers).map(([name, value]) => ` (${name}: ${value})`);
  return `${host.includes(':') ? `[${host}]` : host}:${port}${path}${said.join('')}`;
}

/** Holds what the client saw against what it should have seen. */
export function judgeCall(call: ShopCall, tally: Tally): CallResult {
  const { protocol } = call.target;
  const judged = judgeShares(tally.answers, call.weights);
  return {
    service: call.service,
    protocol,
    address: addressText(call.target),
    calls: tally.calls,
    lost: Object.values(tally.errors).reduce((sum, n) => sum + n, 0),
    errors: tally.errors,
    answers: tally.answers,
    expected: Object.fromEntries(judged.shares.map((s) => [s.name, s.expected])),
    sigmas: judged.worst,
    median: tally.median,
    p99: tally.p99,
    faults: faultsOf(tally, judged, call.anyShare === true),
  };
}

/**
 * Calls every address `n` times and judges the answers. Where only chance can be wrong (a share off, nothing lost, nobody
 * strange), four times as many calls decide: one right sample in some hundred is off by more than three sigma.
 */
export async function callAll(client: Client, calls: readonly ShopCall[], n: number): Promise<readonly CallResult[]> {
  const results: CallResult[] = [];
  for (const call of calls) {
    const take = async (total: number) => {
      const [tally] = await client.order({ kind: 'calls', target: call.target, calls: total, parallel: 4 });
      return judgeCall(call, tally as Tally);
    };
    const first = await take(n);
    const byChance = first.faults.length > 0 && first.lost === 0 && first.faults.every((f) => f.endsWith('sigma off'));
    results.push(byChance ? await take(4 * n) : first);
  }
  return results;
}

/** @throws KmeshError KM_DEMO naming every fault. */
export function refuseFaults(results: readonly CallResult[]): void {
  const faults = results.flatMap((r) => r.faults.map((fault) => `${r.service} at ${r.address}: ${fault}`));
  if (faults.length > 0) throw new KmeshError('KM_DEMO', faults.join('; '));
}
