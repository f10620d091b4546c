// SPDX-License-Identifier: Apache-2.0
// A proxy's stream: what it is told when, both ways, and what becomes of what it refuses.
import { expect, test } from 'vitest';
import type { Request, Resource, Response, Way } from '../../src/waypoint/messages.ts';
import { openSession } from '../../src/waypoint/session.ts';
import { emptySnapshot, openQuality, type Snapshot } from '../../src/waypoint/snapshot.ts';
import { type TypeName, typeUrls } from '../../src/waypoint/types.ts';

/** "a1" is resource a of version 1. */
function table(text: string): Map<string, Resource> {
  const words = text.split(' ').filter((word) => word !== '');
  return new Map(
    words.map((word) => [word[0] as string, { name: word[0] as string, version: word, bytes: Buffer.from(word) }]),
  );
}
const snapshot = (parts: Partial<Record<TypeName, string>>): Snapshot => ({
  ...emptySnapshot,
  ...Object.fromEntries(Object.entries(parts).map(([type, text]) => [type, table(text)])),
});

function open(way: Way, first: Partial<Record<TypeName, string>>) {
  const sent: Response[] = [];
  const quality = openQuality();
  const session = openSession({ way, quality, send: (response) => void sent.push(response) });
  let now = snapshot(first);
  session.update(now);
  const texts = (list: readonly Response[]) =>
    list.map((r) =>
      [r.type, ...r.resources.map((one) => one.version), ...r.removed.map((name) => `-${name}`)].join(' '),
    );
  const take = (type: TypeName, more: Partial<Request> = {}) => {
    const node = { id: 'x', cluster: 'a/b', metadata: {} };
    const base: Request = {
      ...{ node, hasNode: false, typeUrl: typeUrls[type], names: [], unsubscribe: [] },
      ...{ held: new Map(), nonce: '', error: undefined },
    };
    const from = sent.length;
    session.take({ ...base, ...more });
    return texts(sent.slice(from));
  };
  return {
    sent,
    quality,
    take,
    /** Answers the last response of a type. */
    answer(type: TypeName, error?: string, names: string[] = []) {
      const nonce = sent.filter((r) => r.type === type).at(-1)?.nonce ?? '';
      return take(type, { nonce, error, names: way === 'world' ? names : [] });
    },
    update(parts: Partial<Record<TypeName, string>>) {
      const from = sent.length;
      now = snapshot(parts);
      session.update(quality.usable(now));
      return texts(sent.slice(from));
    },
    refused: () =>
      quality.refused(now).map(({ name, version, reason, stands }) => `${name} ${version} ${reason} ${stands}`),
  };
}

test('delta: everything of listeners and clusters, the rest by name, and then what differs', () => {
  const it = open('delta', { clusters: 'a1 b1', endpoints: 'a1 b1', routes: 'r1' });
  expect(it.take('clusters')).toEqual(['clusters a1 b1']);
  expect(it.answer('clusters')).toEqual([]);
  expect(it.take('endpoints', { names: ['a', 'z'] })).toEqual(['endpoints a1 -z']);
  expect(it.take('listeners')).toEqual(['listeners']);
  expect(it.update({ clusters: 'a2 b1', endpoints: 'a1 b2 z1', routes: 'r1' })).toEqual([
    'clusters a2',
    'endpoints z1',
  ]);
  expect(it.take('endpoints', { unsubscribe: ['z'] })).toEqual([]);
  expect(it.update({ clusters: 'a2 b1', endpoints: 'a1 b2 z2', routes: 'r1' })).toEqual([]);
});

test('delta: what a proxy holds from before is not told again', () => {
  const it = open('delta', { clusters: 'a1 b2' });
  const held = new Map([
    ['a', 'a1'],
    ['b', 'b1'],
    ['c', 'c1'],
  ]);
  expect(it.take('clusters', { held })).toEqual(['clusters b2 -c']);
});

test('state of the world: all that is wanted each time, nothing without a difference', () => {
  const it = open('world', { clusters: 'a1 b1', endpoints: 'a1 b1' });
  expect(it.take('clusters')).toEqual(['clusters a1 b1']);
  expect(it.answer('clusters')).toEqual([]);
  expect(it.take('endpoints', { names: ['a'] })).toEqual(['endpoints a1']);
  expect(it.answer('endpoints', undefined, ['a', 'b'])).toEqual(['endpoints a1 b1']);
  // An answer to an older one changes nothing.
  expect(it.take('endpoints', { nonce: '2', names: ['a'] })).toEqual([]);
  expect(it.update({ clusters: 'a1 b1', endpoints: 'a2 b1' })).toEqual(['endpoints a2 b1']);
});

test('clusters go when nothing that the proxy uses can name them', () => {
  const it = open('delta', { clusters: 'a1 b1', routes: 'r1' });
  it.take('clusters');
  it.answer('clusters');
  it.take('routes', { names: ['r'] });
  it.answer('routes');
  expect(it.update({ clusters: 'a1', routes: 'r2' })).toEqual(['routes r2']);
  expect(it.answer('routes')).toEqual(['clusters -b']);
  expect(it.update({ clusters: 'c1', routes: 'r3' })).toEqual(['clusters c1', 'routes r3']);
  expect(it.answer('routes', 'no r')).toEqual([]);
  expect(it.update({ clusters: 'c1', routes: 'r4' })).toEqual(['routes r4']);
  expect(it.answer('routes')).toEqual(['clusters -a']);
});

test('what is refused is known by name; the last good one is told in its place', () => {
  const it = open('delta', { clusters: 'a1 b1' });
  it.take('clusters');
  it.answer('clusters');
  expect(it.update({ clusters: 'a2 b2' })).toEqual(['clusters a2 b2']);
  it.answer('clusters', 'a: is wrong'.replace('a:', 'cluster a:'));
  expect(it.refused().join()).toContain('a a2');
  expect(it.update({ clusters: 'a2 b3' }).join()).toContain('a1');
  expect(it.update({ clusters: 'a3 b3' }).join()).toContain('a3');
  expect(it.refused()).toEqual([]);
});

test('a refusal that names nothing: each is told by itself', () => {
  const it = open('delta', { clusters: 'x1 y1' });
  it.take('clusters');
  expect(it.answer('clusters', '???')).toEqual(['clusters x1', 'clusters y1']);
  expect(it.answer('clusters', '???')).toEqual([]);
  expect(it.refused()).toEqual(['y y1 ??? false']);
});
