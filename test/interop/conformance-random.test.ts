// SPDX-License-Identifier: Apache-2.0
// Which rule of many answers, for routes and requests drawn at random: a real Envoy against the words of the Gateway API.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { aCase, answering, randomBehaviour } from '../support/conformance/random-routes.ts';
import { ownService } from '../support/conformance/table.ts';
import { openWorld, type World } from '../support/conformance/world.ts';
import { withEnvoy } from '../support/envoy.ts';

const cases = fc.sample(aCase, { seed: 20_261_123, numRuns: 40 });
const behaviours = cases.map(randomBehaviour);

withEnvoy('routes at random', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld(behaviours);
  });
  afterAll(() => world?.close());

  test('there is something to tell apart', () => {
    const answers = cases.flatMap((one) => one.requests.map((request) => answering(one, request)));
    expect(new Set(answers).size).toBeGreaterThan(8);
    expect(answers.filter((name) => name === undefined).length).toBeGreaterThan(50);
  });

  test('each request is answered by the rule that counts', async () => {
    const wrong: unknown[] = [];
    for (const [i, one] of cases.entries()) {
      const service = ownService(behaviours[i] as (typeof behaviours)[number]);
      for (const request of one.requests) {
        const { from, method, path, query, headers } = request;
        const [reply] = await world.ask(from, {
          as: 'http',
          address: world.address({ service }, i % 2 === 0 ? 4 : 6),
          port: 80,
          method,
          path: path + (query.length > 0 ? `?${query.map(({ name, value }) => `${name}=${value}`).join('&')}` : ''),
          headers: { host: 'h', ...Object.fromEntries(headers.map(({ name, value }) => [name, value])) },
        });
        const got = reply?.status === 404 ? undefined : reply?.headers?.location;
        const want = answering(one, request);
        const isRight = want === undefined ? got === undefined : got?.startsWith(`http://${want}/`);
        if (!isRight) wrong.push({ request, want, got: got ?? reply, routes: JSON.stringify(one.routes) });
      }
    }
    expect(wrong.slice(0, 3)).toEqual([]);
  });
});
