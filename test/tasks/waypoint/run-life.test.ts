// SPDX-License-Identifier: Apache-2.0
// When an Envoy that starts is said to listen: not as soon as it has its listener, since that refuses connections until all of Envoy is live.
import { expect, test } from 'vitest';
import type { Log } from '../../../src/agent/log.ts';
import type { Control } from '../../../src/tasks/waypoint/run-ads.ts';
import { type Listening, listening } from '../../../src/tasks/waypoint/run-life.ts';
import type { ProxyProcess } from '../../../src/tasks/waypoint/run-proxy.ts';

const listeners = JSON.stringify({
  listener_statuses: [
    { name: 'waypoint', local_address: { socket_address: { address: '10.0.0.4', port_value: 15088 } } },
  ],
});

/** An Envoy whose admin interface answers so, by path, and what is asked of it. */
function start(answers: Record<string, string>, patienceMs = 60_000) {
  let asked = 0;
  const admin = async (path: string): Promise<string> => {
    asked++;
    const answer = answers[path];
    if (answer === undefined) throw new Error(`${path}: 503`);
    return answer;
  };
  const proxy = { ended: new Promise(() => {}), admin } as unknown as ProxyProcess;
  const control = { fault: () => undefined } as unknown as Control;
  const end = new AbortController();
  const log = { warn: () => {} } as unknown as Log;
  let got: Listening | undefined;
  const said = listening(proxy, { patienceMs, control, log, signal: end.signal });
  void said.then((listens) => {
    got = listens;
  });
  return { said, answers, end, asked: () => asked, got: () => got };
}

test('it listens once it has its listener and is live', async () => {
  const envoy = start({ '/listeners?format=json': listeners });
  await expect.poll(envoy.asked, { timeout: 20_000 }).toBeGreaterThan(4);
  expect(envoy.got()).toBeUndefined();
  envoy.answers['/ready'] = 'LIVE\n';
  expect(await envoy.said).toEqual({ at: '10.0.0.4:15088' });
});

test.each([
  [{ '/listeners?format=json': listeners }, 'its listener waits for what it needs'],
  [
    { '/listeners?format=json': '{}', '/config_dump?resource=dynamic_listeners': '{}', '/ready': 'LIVE\n' },
    'the control plane has told it of no listener',
  ],
])('%j: why it does not', async (answers, why) => {
  const said = await start(answers, 0).said;
  expect(said).toMatchObject({ fault: { code: 'KM_TIMEOUT', message: expect.stringContaining(why) } });
});
