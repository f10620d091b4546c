// SPDX-License-Identifier: Apache-2.0
// Agent, `waypoint run` and its Envoy are killed, two at once in every order: nobody goes past the waypoint, and what is started again serves.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAlive } from '../../src/demo/lab.ts';
import { withEnvoy } from '../support/envoy.ts';
import type { AgentProcess } from '../support/node.ts';
import { openRunNode, type Run, type RunNode } from '../support/waypoint-run.ts';

type Part = 'agent' | 'run' | 'envoy';
const orders: readonly (readonly [Part, Part])[] = [
  ...([
    ['agent', 'run'],
    ['run', 'agent'],
    ['agent', 'envoy'],
  ] as const),
  ...([
    ['envoy', 'agent'],
    ['run', 'envoy'],
    ['envoy', 'run'],
  ] as const),
];

withEnvoy('two are killed', () => {
  let mesh: RunNode;
  let agent: AgentProcess;
  let run: Run;
  let pid: number;
  /** Lines of `run` that say where it listens. */
  let lines = 1;

  beforeAll(async () => {
    mesh = await openRunNode();
    agent = mesh.agent;
    run = mesh.run();
    pid = (await run.ready()).pid;
  });
  afterAll(() => mesh?.close());

  const kill = async (part: Part): Promise<void> => {
    if (part === 'agent') await agent.end('SIGKILL');
    else if (part === 'run') await run.end('SIGKILL');
    else if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  };
  /** By the waypoint /v2 is for cart-2, past it for cart-1. */
  const call = async (): Promise<Readonly<Record<string, number>>> => {
    const fates = await mesh.call(3, { path: '/v2' });
    expect(Object.keys(fates)).not.toContain('cart-1');
    return fates;
  };

  test.each(orders)('%s, then %s', async (first, second) => {
    await kill(first);
    await call();
    await kill(second);
    await call();
    if (first === 'agent' || second === 'agent')
      agent = mesh.node.startAgent({ words: ['--waypoint-ads', '127.0.0.1:0'] });
    if (first === 'run' || second === 'run') {
      await mesh.until(() => !isAlive(pid));
      await call();
      run = mesh.run();
      lines = 1;
    } else {
      lines++;
    }
    pid = (await run.ready(lines)).pid;
    await mesh.until(async () => (await call())['cart-2'] === 3);
    expect(mesh.enrolled()).toHaveLength(2);
  });
});
