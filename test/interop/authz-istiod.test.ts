// SPDX-License-Identifier: Apache-2.0
// Policies that were put into a real istiod, by what becomes of real connections and datagrams to a pod that is judged.
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuthzRow } from '../../src/admin/authz.ts';
import { authz, enrollJudged, everyTry, from, raw, refused, type Tries } from '../support/authz-lab.ts';
import { withIstiod } from '../support/istiod.ts';
import { namespace } from '../support/kube.ts';
import { type MeshNode, openMeshNode } from '../support/mesh-node.ts';
import type { AgentProcess } from '../support/node.ts';

const clients = ['friend-1', 'guest-1', 'far-1'] as const;
type Client = (typeof clients)[number];
/** What came of every client's tries at ports 8080 and 8081, in that order; one for both where they are alike. */
type Fates = Readonly<Record<Client, Tries | readonly [Tries, Tries]>>;

const allowed = everyTry('cart-1');
const everyone = (fate: Tries): Fates => ({ 'friend-1': fate, 'guest-1': fate, 'far-1': fate });
const nobody = everyone(refused);
const only = (...who: readonly Client[]) =>
  Object.fromEntries(clients.map((client) => [client, who.includes(client) ? allowed : refused])) as Fates;

withIstiod('policies from istiod', () => {
  let mesh: MeshNode;
  let agent: AgentProcess;

  const tries = (client: Client, port: number): Promise<Tries> => {
    const { address4, address6 } = mesh.lab('cart-1');
    const args = { host4: address4, host6: address6, port };
    return mesh.python(client).then((python) => python.run('out = tries(host4, host6, port)', args));
  };
  const fates = async (): Promise<Fates> => {
    const all = clients.map(async (client) => {
      const both = [await tries(client, 8080), await tries(client, 8081)] as const;
      return [client, isDeepStrictEqual(both[0], both[1]) ? both[0] : both] as const;
    });
    return Object.fromEntries(await Promise.all(all)) as Fates;
  };
  /** Soon; and what was so before it says nothing: each test expects what the one before it did not. */
  const expectFates = async (expected: Fates): Promise<void> => {
    const wanted = async () => isDeepStrictEqual(await fates(), expected);
    await mesh.node.until(wanted).catch(async (error) => {
      expect(await fates()).toEqual(expected);
      throw error;
    });
  };
  const row = async (): Promise<AuthzRow | undefined> => {
    for await (const one of mesh.node.client.authz({})) if (one.workload === 'shop/cart-1') return one;
    return undefined;
  };
  const xds = async () => (await mesh.node.client.status({})).sources.find((source) => source.xds)?.xds;

  const cart = (name: string, spec: Omit<Parameters<typeof authz>[1], 'app'>) => authz(name, { app: 'cart', ...spec });
  const friendOnly = cart('callers', { rules: [from('friend')] });

  beforeAll(async () => {
    mesh = await openMeshNode('authzistiod', ['cart-1', 'friend-1', 'guest-1', 'far-1'], {
      objects: [namespace('abroad')],
      specs: ['tcp/8080', 'tcp/8081', 'udp/8080', 'udp/8081'],
    });
    const pods = ['cart-1', 'friend-1', 'guest-1'].map((name) => mesh.podObject(name));
    await mesh.istiod.put(...pods, mesh.podObject('far-1', { namespace: 'abroad' }));
    for (const client of clients) await (await mesh.python(client)).run(raw());
    agent = await mesh.started();
    await enrollJudged(mesh.node, 'cart-1');
    await expectFates(everyone(allowed));
  }, 120_000);
  afterAll(() => mesh?.close(), 120_000);

  describe('who and what is asked for, one policy that changes', () => {
    test('a principal', async () => {
      await mesh.istiod.put(friendOnly);
      await expectFates(only('friend-1'));
    });

    test('a namespace', async () => {
      await mesh.istiod.put(cart('callers', { rules: [{ from: [{ source: { namespaces: ['abroad'] } }] }] }));
      await expectFates(only('far-1'));
    });

    test('a port, of somebody', async () => {
      const to = [{ operation: { ports: ['8081'] } }];
      await mesh.istiod.put(cart('callers', { rules: [{ ...from('guest'), to }] }));
      await expectFates({ ...nobody, 'guest-1': [refused, allowed] });
    });

    test('addresses of both families', async () => {
      const ipBlocks = [`${mesh.lab('friend-1').address4}/32`, mesh.lab('guest-1').address6];
      await mesh.istiod.put(cart('callers', { rules: [{ from: [{ source: { ipBlocks } }] }] }));
      const four = { tcp4: 'cart-1', udp4: 'cart-1' };
      const six = { tcp6: 'cart-1', udp6: 'cart-1' };
      await expectFates({ ...nobody, 'friend-1': { ...refused, ...four }, 'guest-1': { ...refused, ...six } });
    });

    test('anything but: a namespace, an address, a port', async () => {
      const { address4 } = mesh.lab('friend-1');
      const source = { notNamespaces: ['abroad'], notIpBlocks: [address4] };
      const to = [{ operation: { notPorts: ['8081'] } }];
      await mesh.istiod.put(cart('callers', { rules: [{ from: [{ source }], to }] }));
      const six = { ...refused, tcp6: 'cart-1', udp6: 'cart-1' };
      await expectFates({ ...nobody, 'friend-1': [six, refused], 'guest-1': [allowed, refused] });
    });
  });

  describe('policies together', () => {
    test('another one that allows, and one that denies of it', async () => {
      const abroad = cart('abroad', { rules: [{ from: [{ source: { namespaces: ['abroad'] } }] }] });
      await mesh.istiod.put(friendOnly, abroad);
      await expectFates(only('friend-1', 'far-1'));
      const rules = [{ to: [{ operation: { ports: ['8080'] } }] }];
      await mesh.istiod.put(cart('closed-port', { action: 'DENY', rules }));
      await expectFates({ ...nobody, 'friend-1': [refused, allowed], 'far-1': [refused, allowed] });
      await mesh.istiod.change([], [abroad, cart('closed-port', {})]);
      await expectFates(only('friend-1'));
    });

    test('of the namespace and of the whole mesh', async () => {
      const guests = authz('guests', { rules: [from('guest')] });
      await mesh.istiod.put(guests);
      await expectFates(only('friend-1', 'guest-1'));
      const deny = authz('nothing', { action: 'DENY', rules: [{}] });
      const everywhere = { ...deny, metadata: { name: 'nothing', namespace: 'istio-system' } };
      await mesh.istiod.put(everywhere);
      await expectFates(nobody);
      await mesh.istiod.change([], [everywhere, guests]);
      await expectFates(only('friend-1'));
    });

    test('the pod gets the labels that a policy asks for, and loses them', async () => {
      await mesh.istiod.put(mesh.podObject('cart-1', { app: 'else' }));
      await expectFates(everyone(allowed));
      await mesh.istiod.put(mesh.podObject('cart-1'));
      await expectFates(only('friend-1'));
    });

    test('a caller becomes another account', async () => {
      await mesh.istiod.put(mesh.podObject('guest-1', { app: 'friend' }));
      await expectFates(only('friend-1', 'guest-1'));
      await mesh.istiod.put(mesh.podObject('guest-1'));
      await expectFates(only('friend-1'));
    });
  });

  describe('istiod is away', () => {
    const gone = () => mesh.node.until(async () => (await xds())?.connected === false);
    const guestOnly = cart('callers', { rules: [from('guest')] });

    test('the last policies stay in force; what changed meanwhile comes with it', async () => {
      await mesh.istiod.stop();
      await gone();
      expect(await fates()).toEqual(only('friend-1'));
      await mesh.istiod.put(guestOnly);
      expect(await fates()).toEqual(only('friend-1'));
      await mesh.istiod.start();
      await expectFates(only('guest-1'));
    });

    test('so they do while an agent starts that cannot reach it', async () => {
      await mesh.istiod.stop();
      await agent.end('SIGKILL');
      await mesh.istiod.put(friendOnly);
      agent = mesh.agent();
      await mesh.node.until(async () => ((await xds().catch(() => undefined))?.lastFault ?? '') !== '');
      expect(await fates()).toEqual(only('guest-1'));
      expect((await row())?.enforcement).toBe('on');
      await mesh.istiod.start();
      await expectFates(only('friend-1'));
    });

    test('a policy that was deleted meanwhile is not kept', async () => {
      await mesh.istiod.stop();
      await gone();
      await mesh.istiod.remove(friendOnly);
      expect(await fates()).toEqual(only('friend-1'));
      await mesh.istiod.start();
      await expectFates(everyone(allowed));
    });
  });

  /** istiod has no limit: this many pairs of a source and an operation it serves as they are. */
  describe('a policy that istiod serves and that is refused here', () => {
    const pairs = (name: string) => {
      const source = (i: number) => ({ source: { namespaces: ['shop'], ipBlocks: [`10.0.${i}.0/24`] } });
      const operation = (i: number) => ({ operation: { ports: ['8080'], notPorts: [String(9000 + i)] } });
      const many = <T>(n: number, one: (i: number) => T) => Array.from({ length: n }, (_, i) => one(i));
      return cart(name, { rules: [{ from: many(129, source), to: many(128, operation) }] });
    };
    const faults = async () => {
      const found = await row();
      return { closed: found?.closed.map(({ policy }) => policy), stale: found?.stale };
    };
    const nacked = async (name: string) =>
      (await mesh.istiod.nacks()).some(
        ({ typeUrl, message }) => typeUrl.endsWith('istio.security.Authorization') && message.includes(name),
      );

    test('one that was never in force closes, and is named to istiod; put right it holds', async () => {
      await mesh.istiod.put(pairs('huge'));
      await expectFates(nobody);
      expect(await faults()).toEqual({ closed: ['shop/huge'], stale: [] });
      await mesh.node.until(() => nacked('shop/huge'));
      await mesh.istiod.put(cart('huge', { rules: [from('guest')] }));
      await expectFates(only('guest-1'));
      expect(await faults()).toEqual({ closed: [], stale: [] });
    });

    test('of one that was in force the last good version stays, and is said to be old', async () => {
      await mesh.istiod.put(pairs('huge'));
      await mesh.node.until(async () => isDeepStrictEqual(await faults(), { closed: [], stale: ['shop/huge'] }));
      expect(await fates()).toEqual(only('guest-1'));
      await mesh.istiod.change([friendOnly], [pairs('huge')]);
      await expectFates(only('friend-1'));
      expect(await faults()).toEqual({ closed: [], stale: [] });
    });
  });
});
