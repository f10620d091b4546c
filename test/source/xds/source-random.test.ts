// SPDX-License-Identifier: Apache-2.0
// The source, whatever changes, whichever way streams end and whatever is not taken up: in the end there is what the control plane has.
import { expect, test } from 'vitest';
import type { Change } from '../../../src/mesh/model.ts';
import { policyKey } from '../../../src/mesh/policy.ts';
import { serviceKey } from '../../../src/mesh/service.ts';
import { realTimers, type Timers } from '../../../src/source/timers.ts';
import { settleAfter } from '../../../src/source/xds/settling.ts';
import type { AdsStore } from '../../support/ads-store.ts';
import {
  type AdsResource,
  garbageOf,
  podResource,
  policyResource,
  serviceResource,
} from '../../support/xds-messages.ts';
import { listen, serveStore } from './lasting.ts';
import { until } from './listening.ts';

/** mulberry32: the same seed gives the same run, as far as the network lets it. */
function openRandom(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, below: (n: number) => Math.floor(next() * n) };
}

/** What takes long takes less. */
const quick: Timers = {
  after(ms, run) {
    const sooner = ms === settleAfter.quietMs ? 300 : ms === settleAfter.mostMs ? 2000 : ms;
    return realTimers.after(sooner, run);
  },
};

const key = (change: Change): string => {
  switch (change.kind) {
    case 'put-workload':
      return `w ${change.workload.uid}`;
    case 'remove-workload':
      return `w ${change.uid}`;
    case 'put-service':
      return `s ${serviceKey(change.service)}`;
    case 'remove-service':
      return `s ${change.key}`;
    case 'put-policy':
      return `p ${policyKey(change.policy)}`;
    case 'remove-policy':
      return `p ${change.key}`;
    default:
      throw new Error(`unexpected ${change.kind}`);
  }
};
/** Text of what is told, so that an older version shows. */
const said = (change: Change): string => {
  if (change.kind === 'put-workload') return change.workload.addresses.join();
  if (change.kind === 'put-service') return change.service.addresses.map(({ address }) => address).join();
  return change.kind === 'put-policy' ? `${change.policy.fault?.kind ?? change.policy.dryRun}` : '';
};

/** What a store has, as it would be told. */
function wantedOf(store: AdsStore, good: ReadonlyMap<string, string>) {
  const wanted = new Map<string, string>();
  const bad: string[] = [];
  for (const [kind, table] of [
    ['a', store.resources.address] as const,
    ['p', store.resources.authorization] as const,
  ]) {
    for (const name of table.keys()) {
      const text = good.get(`${kind} ${name}`);
      if (text === undefined) bad.push(name);
      else wanted.set(kind === 'p' ? `p ${name}` : `${name.includes('//') ? 'w' : 's'} ${name}`, text);
    }
  }
  return { wanted, bad };
}

test.each([1, 2, 3, 4])('run %i', async (seed) => {
  const random = openRandom(seed);
  const store = await serveStore();
  /** Of those that are good: what they say. */
  const good = new Map<string, string>();
  const there = new Map<string, string>();
  let failures = 0;
  const listening = listen({
    port: store.port,
    timers: quick,
    async tell({ changes }) {
      const fails = failures > 0 && failures-- > 0;
      // Where it fails, a part of it is in effect all the same.
      for (const change of fails ? changes.filter((_, i) => i % 3 === 0) : changes) {
        if (change.kind.startsWith('put')) there.set(key(change), said(change));
        else there.delete(key(change));
      }
      if (random.below(3) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(4)));
      if (fails) throw new Error('not taken up');
    },
  });
  // A first state that is not taken up is told again whole, in place of what there was: a part of it would stay here.
  await until(() => listening.news.length > 0);

  const ip = () => `10.${random.below(250)}.${random.below(250)}.${random.below(250)}`;
  const pod = (n: number): AdsResource => {
    const address = ip();
    const one = podResource(`pod-${n}`, address);
    good.set(`a ${one.name}`, address);
    return one;
  };
  const service = (n: number): AdsResource => {
    const address = ip();
    const one = serviceResource(`svc-${n}`, address);
    good.set(`a ${one.name}`, address);
    return one;
  };
  const policy = (n: number): AdsResource => {
    const dryRun = random.below(2) === 0;
    const one = policyResource(`p-${n}`, { dryRun });
    good.set(`p ${one.name}`, String(dryRun));
    return one;
  };
  const spoilt = (type: 'address' | 'authorization', name: string): AdsResource => {
    good.delete(`${type === 'address' ? 'a' : 'p'} ${name}`);
    return garbageOf(type, name, Buffer.from([0xff, random.below(256), random.below(256)]));
  };
  const steps: (() => unknown)[] = [
    () => store.change({ put: [pod(random.below(2000)), service(random.below(20))] }),
    () => store.change({ put: [pod(random.below(2000)), policy(random.below(10))] }),
    // Longer than what a short one overtakes.
    () => store.change({ put: Array.from({ length: 700 }, () => pod(random.below(2000))) }),
    () => store.change({ remove: [...store.resources.address.keys()].filter(() => random.below(3) === 0) }),
    () => store.change({ remove: [...store.resources.authorization.keys()].filter(() => random.below(3) === 0) }),
    () => store.change({ put: [spoilt('authorization', `shop/p-${random.below(10)}`)] }),
    () =>
      store.change({ put: [spoilt('address', serviceResource(`svc-${random.below(20)}`, '10.0.0.1').name), pod(1)] }),
    () => store.server.streams.at(-1)?.end(),
    () => store.server.streams.at(-1)?.reset(),
    () => store.server.streams.at(-1)?.dropConnection(),
    () => store.server.streams.at(-1)?.goAway(),
    () => {
      failures = 1 + random.below(2);
    },
    () => new Promise((resolve) => setTimeout(resolve, random.below(40))),
    () => new Promise((resolve) => setTimeout(resolve, random.below(10))),
  ];
  for (let i = 0; i < 150; i++) await steps[random.below(steps.length)]?.();
  failures = 0;

  const differences = () => {
    const { wanted, bad } = wantedOf(store, good);
    const wrong = [...wanted].flatMap(([name, text]) =>
      there.get(name) === text ? [] : [`${name}: ${there.get(name)}, not ${text}`],
    );
    const badPolicies = bad.filter((name) => /^shop\/p-\d+$/.test(name));
    const extra = [...there.keys()].filter((name) => !wanted.has(name) && !bad.includes(name.slice(2)));
    const open = badPolicies.filter((name) => !['refused', 'stale'].includes(there.get(`p ${name}`) ?? ''));
    return [...wrong, ...extra.map((name) => `${name} is there`), ...open.map((name) => `${name} is open`)];
  };
  await until(() => listening.source.status().connected && differences().length === 0).catch(() => {});
  expect(differences()).toEqual([]);
});
