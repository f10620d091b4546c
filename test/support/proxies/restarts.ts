// SPDX-License-Identifier: Apache-2.0
// What becomes of requests while a proxy is killed, reloaded, drained: some are refused at the worst, and none goes past it.
import { describe, expect, test } from 'vitest';
import { address } from './kind.ts';
import type { ProxyLab } from './lab.ts';
import type { Tally } from './load-client.ts';

const at = { host: address('shop'), port: 80 } as const;
const workers = 4;

/** What a client is told of a connection that a proxy had no time for. Never: nothing. */
const cut = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'];

const none = {} as const;

export function restarts(open: () => ProxyLab): void {
  /** Requests by connections of their own and by kept ones; what became of all of them. */
  async function load(lab: ProxyLab, body: (more: () => Promise<void>) => Promise<void>): Promise<Tally[]> {
    const { client } = lab;
    const ids = [
      await client.begin({ ...at, workers, kept: false }),
      await client.begin({ ...at, workers, kept: true }),
    ];
    const answered = () => Promise.all(ids.map(async (id) => (await client.soFar(id))?.answered ?? 0));
    /** Resolves when more of both kinds were answered. */
    const more = async () => {
      const before = await answered();
      await lab.node.until(async () => (await answered()).every((n, i) => n > (before[i] ?? 0) + 40));
    };
    try {
      await more();
      await body(more);
      await more();
    } finally {
      await Promise.all(ids.map((id) => client.end(id)));
    }
    return Promise.all(ids.map(async (id) => (await client.end(id)) as Tally));
  }

  describe('under load', () => {
    test('reloaded: no request is lost', async () => {
      const lab = open();
      const tallies = await load(lab, async (more) => {
        for (let i = 0; i < 2; i++) {
          await lab.proxies['way-1'].reload();
          await more();
        }
      });
      expect(tallies.map(({ failed }) => failed)).toEqual([none, none]);
    });

    test('the only one is killed and comes back: refused meanwhile, none hangs, none goes past it', async () => {
      const lab = open();
      const way = lab.proxies['way-1'];
      const tallies = await load(lab, async () => {
        await way.kill();
        const refused = await lab.client.begin({ ...at, workers: 1, kept: false });
        await lab.node.until(async () => ((await lab.client.soFar(refused))?.failed.ECONNREFUSED ?? 0) >= 10);
        await way.start();
        await lab.client.end(refused);
      });
      for (const { failed } of tallies) expect(cut).toEqual(expect.arrayContaining(Object.keys(failed)));
      expect(tallies[0]?.failed.ECONNREFUSED).toBeGreaterThan(0);
      const [asked] = await lab.client.get({ ...at });
      expect(asked?.status).toBe(200);
    });

    test('one of two is taken out, drained, started again: no request is lost', async () => {
      const lab = open();
      const { 'way-1': one, 'way-2': two } = lab.proxies;
      await two.start();
      const tallies = await load(lab, async (more) => {
        await lab.ready('way-1', 'way-2');
        await more();
        await lab.ready('way-2');
        await one.drain();
        await more();
        await one.start();
        await lab.ready('way-1', 'way-2');
        await more();
      });
      expect(tallies.map(({ failed }) => failed)).toEqual([none, none]);
      expect(await two.broken()).toBe(0);
    });

    test('one of two is killed: the other goes on, some are refused until it is taken out, then none', async () => {
      const lab = open();
      const { 'way-1': one, 'way-2': two } = lab.proxies;
      await lab.ready('way-1', 'way-2');
      const tallies = await load(lab, async (more) => {
        await two.kill();
        await more();
        await lab.ready('way-1');
      });
      for (const { failed } of tallies) expect(cut).toEqual(expect.arrayContaining(Object.keys(failed)));
      const after = await load(lab, (more) => more());
      expect(after.map(({ failed }) => failed)).toEqual([none, none]);
      expect(await one.broken()).toBe(0);
    });
  });
}
