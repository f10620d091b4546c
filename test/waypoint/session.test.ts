// SPDX-License-Identifier: Apache-2.0
// A proxy's stream: what it is told when, both ways, and what becomes of what it refuses.
import { describe, expect, test } from 'vitest';
import { heldOf, openProxy } from './proxy.ts';

describe('incremental', () => {
  test('everything of listeners and clusters, the rest by name, and then what differs', () => {
    const it = openProxy('delta', { clusters: 'a1 b1', endpoints: 'a1 b1', routes: 'r1' });
    expect(it.take('clusters')).toEqual(['clusters a1 b1']);
    expect(it.answer('clusters')).toEqual([]);
    expect(it.take('endpoints', { names: ['b', 'z'] })).toEqual(['endpoints b1 -z']);
    // Who waits for everything is told when that is nothing.
    expect(it.take('listeners')).toEqual(['listeners']);
    expect(it.update({ clusters: 'a2 b1', endpoints: 'a1 b2 z1', routes: 'r1' })).toEqual([
      'clusters a2',
      'endpoints b2 z1',
    ]);
    expect(it.take('endpoints', { unsubscribe: ['z'] })).toEqual([]);
    expect(it.update({ clusters: 'a2 b1', endpoints: 'a1 b2 z2', routes: 'r1' })).toEqual([]);
    // Who asks again has nothing of it any more.
    expect(it.take('endpoints', { names: ['z', 'b'] })).toEqual(['endpoints z2 b2']);
  });

  test('a cluster that changes gets its endpoints anew: it is ready with them', () => {
    const it = openProxy('delta', { clusters: 'a1 b1', endpoints: 'a1 b1' });
    it.take('clusters');
    it.take('endpoints', { names: ['a', 'b'] });
    expect(it.update({ clusters: 'a2 b1', endpoints: 'a1 b1' })).toEqual(['clusters a2', 'endpoints a1']);
  });

  test('who comes back is told what is not as it holds it', () => {
    const it = openProxy('delta', { clusters: 'a1 b2', endpoints: 'a1 b2' });
    expect(it.take('clusters', { held: heldOf('a1 b1 c1') })).toEqual(['clusters b2 -c']);
    expect(it.take('endpoints', { names: ['a', 'b', 'c', 'd'], held: heldOf('a1 b2 c1') })).toEqual([
      // Of b, as its cluster is another now.
      'endpoints b2 -c -d',
    ]);
    const same = openProxy('delta', { clusters: 'a1', endpoints: 'a1', listeners: 'l1', routes: 'r1' });
    expect(same.take('clusters', { held: heldOf('a1') })).toEqual([]);
    expect(same.take('listeners', { held: heldOf('l1') })).toEqual([]);
    expect(same.take('endpoints', { names: ['a'], held: heldOf('a1') })).toEqual([]);
    expect(same.take('routes', { names: ['r'], held: heldOf('r1') })).toEqual([]);
    expect(same.update({ clusters: 'a1', endpoints: 'a1', listeners: 'l1', routes: 'r2' })).toEqual(['routes r2']);
  });

  test('"*" and names beside it', () => {
    const it = openProxy('delta', { clusters: 'a1 b1' });
    expect(it.take('clusters', { names: ['a'] })).toEqual(['clusters a1']);
    expect(it.take('clusters', { names: ['*'] })).toEqual(['clusters b1']);
    expect(it.take('clusters', { unsubscribe: ['*'] })).toEqual([]);
    expect(it.update({ clusters: 'a2 b2' })).toEqual(['clusters a2']);
    expect(it.take('clusters', { names: ['*'] })).toEqual(['clusters b2']);
    // One that is covered by "*" cannot be left by itself.
    expect(it.take('clusters', { unsubscribe: ['a'] })).toEqual([]);
    expect(it.update({ clusters: 'a3 b2' })).toEqual(['clusters a3']);
    expect(it.take('clusters', { unsubscribe: ['*'] })).toEqual([]);
    expect(it.take('clusters', {})).toEqual([]);
    expect(it.update({ clusters: 'a4 b4' })).toEqual([]);
  });

  test('answers to nobody knows what, and other sorts of resources, change nothing', () => {
    const it = openProxy('delta', { clusters: 'a1' });
    it.take('clusters');
    expect(it.take('clusters', { nonce: '99' })).toEqual([]);
    expect(it.take('clusters', { nonce: '99', error: 'a is wrong' })).toEqual([]);
    expect(it.refused()).toEqual([]);
    expect(it.session.types()).toMatchObject([{ type: 'clusters', acks: 0, nacks: 0, awaited: 1, taken: 0 }]);
    for (let i = 0; i < 100; i++) expect(it.take(`type.googleapis.com/Sort${i}`, { names: ['a'] })).toEqual([]);
    expect(it.session.unknown.size).toBe(16);
    expect(it.answer('clusters')).toEqual([]);
    expect(it.answer('clusters', 'a is wrong')).toEqual([]);
    expect(it.session.types()).toMatchObject([{ acks: 1, nacks: 0, awaited: 0, taken: 1 }]);
  });
});

describe('state of the world', () => {
  test('all listeners and clusters each time; of the others what differs', () => {
    const it = openProxy('world', { clusters: 'a1 b1', endpoints: 'a1 b1' });
    expect(it.take('clusters')).toEqual(['clusters a1 b1']);
    expect(it.answer('clusters')).toEqual([]);
    expect(it.take('endpoints', { names: ['a'] })).toEqual(['endpoints a1']);
    expect(it.answer('endpoints', undefined, ['a', 'b'])).toEqual(['endpoints b1']);
    // An answer to an older one changes nothing.
    expect(it.take('endpoints', { nonce: '2', names: ['a'] })).toEqual([]);
    expect(it.update({ clusters: 'a1 b1', endpoints: 'a2 b1' })).toEqual(['endpoints a2']);
    expect(it.update({ clusters: 'a1 b1 c1', endpoints: 'a2 b1' })).toEqual(['clusters a1 b1 c1']);
  });

  test('names, "*" and none', () => {
    const it = openProxy('world', { clusters: 'a1 b1 c1' });
    expect(it.take('clusters')).toEqual(['clusters a1 b1 c1']);
    expect(it.answer('clusters', undefined, ['*', 'a'])).toEqual(['clusters a1 b1 c1']);
    expect(it.answer('clusters', undefined, ['a'])).toEqual([]);
    expect(it.update({ clusters: 'a1 b2 c1' })).toEqual([]);
    expect(it.answer('clusters', undefined, [])).toEqual([]);
    expect(it.update({ clusters: 'a3 b3 c3' })).toEqual([]);
  });

  test('what is refused: the rest is told again with what stands', () => {
    const it = openProxy('world', { clusters: 'a1 b1', routes: 'r1 s1' });
    it.take('clusters');
    it.answer('clusters');
    it.take('routes', { names: ['r', 's'] });
    it.answer('routes', undefined, ['r', 's']);
    expect(it.update({ clusters: 'a2 b2', routes: 'r2 s2' })).toEqual(['clusters a2 b2', 'routes r2 s2']);
    expect(it.answer('clusters', 'Error adding/updating cluster(s) a: bad')).toEqual(['clusters a1 b2']);
    expect(it.refused()).toEqual(['a2 Error adding/updating cluster(s) a: bad (a1)']);
    // Routes can be told one by one.
    expect(it.answer('routes', '???', ['r', 's'])).toEqual(['routes r2', 'routes s2']);
    expect(it.answer('routes', 'no', ['r', 's'])).toEqual([]);
    expect(it.refused()).toEqual(['a2 Error adding/updating cluster(s) a: bad (a1)', 's2 no (s1)']);
  });
});

describe('what goes', () => {
  test('clusters, when nothing that the proxy uses can name them', () => {
    const it = openProxy('delta', { clusters: 'a1 b1', routes: 'r1' });
    it.take('clusters');
    it.answer('clusters');
    it.take('routes', { names: ['r'] });
    it.answer('routes');
    expect(it.update({ clusters: 'a1', routes: 'r2' })).toEqual(['routes r2']);
    expect(it.answer('routes')).toEqual(['clusters -b']);
    expect(it.update({ clusters: 'c1', routes: 'r3' })).toEqual(['clusters c1', 'routes r3']);
    // What stands in for what is refused may name it.
    expect(it.answer('routes', 'no r')).toEqual([]);
    expect(it.update({ clusters: 'c1', routes: 'r4' })).toEqual(['routes r4']);
    expect(it.answer('routes')).toEqual(['clusters -a']);
  });
});

describe('what is refused', () => {
  test('is known by name; what the proxy has stands, and others get the last that one took', () => {
    const it = openProxy('delta', { clusters: 'a1 b1' });
    it.take('clusters');
    it.answer('clusters');
    expect(it.update({ clusters: 'a2 b2' })).toEqual(['clusters a2 b2']);
    // It may have given up at the first: the others are told again.
    expect(it.answer('clusters', 'cluster a: is wrong')).toEqual(['clusters b2']);
    expect(it.refused()).toEqual(['a2 cluster a: is wrong (a1)']);
    expect(it.answer('clusters')).toEqual([]);
    expect(it.update({ clusters: 'a2 b3' })).toEqual(['clusters b3']);
    const later = openProxy('delta', { clusters: 'a2 b3' }, it.quality);
    expect(later.take('clusters')).toEqual(['clusters a2 b3']);
    expect(later.answer('clusters', '"a": is wrong')).toEqual(['clusters b3 a1']);
    expect(it.update({ clusters: 'a3 b3' })).toEqual(['clusters a3']);
    expect(it.refused()).toEqual([]);
  });

  test('a proxy that refuses everything keeps nothing from others', () => {
    const bad = openProxy('delta', { clusters: 'a1' });
    bad.take('clusters');
    expect(bad.answer('clusters', 'a')).toEqual([]);
    const good = openProxy('delta', { clusters: 'a1' }, bad.quality);
    expect(good.take('clusters')).toEqual(['clusters a1']);
    expect([good.refused(), bad.refused()]).toEqual([[], ['a1 a ()']]);
  });

  test('when it names nothing: by halves', () => {
    const it = openProxy('delta', { clusters: 'w1 x1 y1 z1' });
    it.take('clusters');
    expect(it.answer('clusters', '???')).toEqual(['clusters w1 x1', 'clusters y1 z1']);
    const [, first, second] = it.sent.map(({ nonce }) => nonce);
    expect(it.take('clusters', { nonce: first as string })).toEqual([]);
    expect(it.take('clusters', { nonce: second as string, error: '???' })).toEqual(['clusters y1', 'clusters z1']);
    expect(it.answer('clusters', '!')).toEqual([]);
    expect(it.refused()).toEqual(['z1 ! ()']);
    expect(it.session.types()).toMatchObject([{ taken: 2, awaited: 1 }]);
  });

  test('a name within another one is not meant', () => {
    const it = openProxy('delta', { clusters: 'a1 b1' });
    it.take('clusters');
    expect(it.answer('clusters', 'b-a and a.x and x/a, b.')).toEqual(['clusters a1']);
    expect(it.refused()).toEqual(['b1 b-a and a.x and x/a, b. ()']);
  });

  test('what a proxy holds from another server stands, though its bytes are not known', () => {
    const it = openProxy('delta', { clusters: 'a2' });
    expect(it.take('clusters', { held: heldOf('a1') })).toEqual(['clusters a2']);
    expect(it.answer('clusters', 'a: no')).toEqual([]);
    expect(it.refused()).toEqual(['a2 a: no (a1)']);
    expect(it.update({ clusters: 'a2 b1' })).toEqual(['clusters b1']);
    expect(it.update({ clusters: 'b1' })).toEqual(['clusters -a']);
  });
});

describe('limits', () => {
  test('who answers nothing is told no more, and then what holds', () => {
    const it = openProxy('delta', { clusters: 'a0' });
    it.take('clusters');
    for (let i = 1; i < 10; i++) it.update({ clusters: `a${i}`, routes: `r${i}` });
    for (let i = 1; i < 10; i++) it.take('routes', { names: ['r'] });
    const told = it.sent.length;
    expect(told).toBe(16);
    for (let i = 1; i < 10; i++) expect(it.update({ clusters: `b${i}`, routes: `r${i}` })).toEqual([]);
    expect(it.take('routes', { names: ['r'] })).toEqual([]);
    const [first] = it.sent;
    expect(it.take('clusters', { nonce: first?.nonce as string })).toEqual(['routes r9']);
    for (const { type, nonce } of it.sent.slice(1)) it.take(type, { nonce });
    expect(it.sent.slice(told + 1).map(({ resources }) => resources.map(({ version }) => version))).toEqual([
      ['b9'],
      [],
    ]);
    for (const { type, nonce } of it.sent.slice(told)) it.take(type, { nonce });
    expect(it.session.types().map(({ awaited }) => awaited)).toEqual([0, 0]);
  });

  test.each([
    ['long', (i: number) => `${'n'.repeat(4000)}${i}`, 10_000],
    ['short', (i: number) => i.toString(36), 400_000],
  ])('names that are asked for: %s ones', (_, nameOf, count) => {
    const { session } = openProxy('delta', {});
    const typeUrl = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration';
    const node = { id: '', cluster: '', metadata: {}, locality: { region: '', zone: '', subzone: '' } };
    const ask = (names: string[], unsubscribe: string[]) =>
      session.take({
        ...{ node, hasNode: false, typeUrl, names, unsubscribe },
        ...{ held: new Map(), nonce: '', error: undefined },
      });
    const all = Array.from({ length: count }, (_one, i) => nameOf(i));
    expect(ask(all.slice(0, 5000), [])).toBeUndefined();
    for (let i = 0; i < 20; i++) expect(ask([], all.slice(0, 5000)) ?? ask(all.slice(0, 5000), [])).toBeUndefined();
    expect(ask(all, [])).toMatch(/too many names/);
    ask([], all);
    expect(session.nameBytes()).toBe(0);
  });
});

describe('made while the client digests', () => {
  const whole = { clusters: 'a1', endpoints: 'a2', listeners: 'l3', routes: 'r4' };

  test('what is not made yet is waited for, and told once it is', () => {
    const it = openProxy('delta', {}, undefined, []);
    expect(it.take('clusters')).toEqual([]);
    expect(it.take('listeners')).toEqual([]);
    expect(it.update({ clusters: 'a1' }, ['clusters'])).toEqual(['clusters a1']);
    expect(it.take('endpoints', { names: ['a', 'b'] })).toEqual([]);
    expect(it.answer('clusters')).toEqual([]);
    expect(it.update({ clusters: 'a1', endpoints: 'a2' }, ['clusters', 'endpoints'])).toEqual(['endpoints a2 -b']);
    expect(it.update(whole)).toEqual(['listeners l3']);
    expect(it.take('routes', { names: ['r'] })).toEqual(['routes r4']);
  });

  test('that there is nothing is told once that is known', () => {
    const it = openProxy('delta', {}, undefined, []);
    expect(it.take('clusters')).toEqual([]);
    expect(it.take('endpoints', { names: ['a'] })).toEqual([]);
    expect(it.update({}, ['clusters'])).toEqual(['clusters']);
    expect(it.update({})).toEqual(['endpoints -a']);
  });

  test('who has much to answer first is told later, and of no more than was made then', () => {
    const many = Array.from({ length: 16 }, (_, i) => String.fromCharCode(97 + i));
    const clusters = many.map((name) => `${name}1`).join(' ');
    const it = openProxy('delta', { clusters }, undefined, ['clusters']);
    for (const name of many) expect(it.take('clusters', { names: [name] })).toEqual([`clusters ${name}1`]);
    expect(it.take('endpoints', { names: ['a'] })).toEqual([]);
    expect(it.update({ clusters, endpoints: 'a2' }, ['clusters', 'endpoints'])).toEqual([]);
    expect(it.take('listeners')).toEqual([]);
    expect(it.answer('clusters')).toEqual(['endpoints a2']);
    expect(it.update({ clusters, endpoints: 'a2', listeners: 'l3' })).toEqual([]);
    expect(it.answer('endpoints')).toEqual(['listeners l3']);
  });
});
