// SPDX-License-Identifier: Apache-2.0
// Random proxies, slow, choosy and forgetful: when all is answered they use what there is, and what they refuse is known.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeRequest, type Request, type Response, type Way } from '../../src/waypoint/messages.ts';
import { openQuality } from '../../src/waypoint/quality.ts';
import { openSession, type Session } from '../../src/waypoint/session.ts';
import { type TypeName, typeNames, typeUrls, wholeTypes } from '../../src/waypoint/types.ts';
import { snapshotOf } from './proxy.ts';

/** Versions that end so are refused by every proxy. */
const isBad = (version: string): boolean => version.endsWith('9');

type Tables = Readonly<Record<TypeName, Readonly<Record<string, number>>>>;

type Step =
  | { readonly kind: 'update'; readonly tables: Tables; readonly made: number }
  | { readonly kind: 'answer'; readonly names: boolean; readonly applies: boolean }
  | { readonly kind: 'names'; readonly type: 'endpoints' | 'routes'; readonly names: readonly string[] }
  | { readonly kind: 'back'; readonly server: boolean }
  | { readonly kind: 'noise'; readonly type: TypeName; readonly nonce: string };

const name = fc.constantFrom('a', 'b', 'c', 'd');
const table = fc.dictionary(name, fc.integer({ min: 0, max: 9 }), { maxKeys: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .record({ clusters: table, endpoints: table, listeners: table, routes: table })
      .chain((tables) => fc.nat({ max: 4 }).map((made): Step => ({ kind: 'update', tables, made }))),
  },
  {
    weight: 6,
    arbitrary: fc
      .record({ names: fc.boolean(), applies: fc.boolean() })
      .map((how): Step => ({ kind: 'answer', ...how })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ type: fc.constantFrom('endpoints' as const, 'routes' as const), names: fc.uniqueArray(name) })
      .map((of): Step => ({ kind: 'names', ...of })),
  },
  { weight: 1, arbitrary: fc.boolean().map((server): Step => ({ kind: 'back', server })) },
  {
    weight: 1,
    arbitrary: fc
      .record({ type: fc.constantFrom(...typeNames), nonce: fc.constantFrom('0', '1', '7', 'x') })
      .map((of): Step => ({ kind: 'noise', ...of })),
  },
);

/** A proxy that keeps to the protocol as Envoy's documents have it. */
class RandomProxy {
  readonly way: Way;
  quality = openQuality();
  session!: Session;
  now = snapshotOf({});
  /** Sorts that are made, and nothing was used before they all were. */
  ready: readonly TypeName[] = [];
  readonly used = new Map<TypeName, Map<string, string>>(typeNames.map((type) => [type, new Map()]));
  readonly wanted = new Map<TypeName, Set<string>>([
    ['endpoints', new Set()],
    ['routes', new Set()],
  ]);
  readonly nonces = new Map<TypeName, string>();
  waiting: Response[] = [];

  constructor(way: Way) {
    this.way = way;
    this.connect();
  }

  ask(type: TypeName, more: Partial<Request> = {}): void {
    const node = { id: 'x', cluster: 'a/b', metadata: {}, locality: { region: '', zone: '', subzone: '' } };
    const fault = this.session.take({
      ...{ node, hasNode: false, typeUrl: typeUrls[type], names: [], unsubscribe: [], held: new Map() },
      ...{ nonce: '', error: undefined },
      ...more,
    });
    expect(fault).toBeUndefined();
  }

  connect(): void {
    this.waiting = [];
    this.nonces.clear();
    this.session = openSession({ way: this.way, quality: this.quality, send: (one) => void this.waiting.push(one) });
    this.session.update(this.now, new Set(this.ready));
    for (const type of typeNames) {
      const names = [...(this.wanted.get(type) ?? [])];
      if (!wholeTypes.has(type) && names.length === 0) continue;
      this.ask(type, { names, ...(this.way === 'delta' && { held: new Map(this.used.get(type)) }) });
    }
  }

  want(type: TypeName, names: readonly string[]): void {
    const before = this.wanted.get(type) as Set<string>;
    const added = names.filter((one) => !before.has(one));
    const gone = [...before].filter((one) => !names.includes(one));
    for (const one of gone) {
      before.delete(one);
      this.used.get(type)?.delete(one);
    }
    for (const one of added) before.add(one);
    if (added.length + gone.length === 0) return;
    if (this.way === 'delta') this.ask(type, { names: added, unsubscribe: gone });
    else this.ask(type, { names: [...before], nonce: this.nonces.get(type) ?? '' });
  }

  /** Of a response that is refused, what is good may have been taken all the same. */
  answer(names: boolean, applies: boolean): void {
    const response = this.waiting.shift();
    if (!response) return;
    const { type, nonce, resources, removed } = response;
    const used = this.used.get(type) as Map<string, string>;
    const bad = resources.filter((one) => isBad(one.version));
    const listens = (one: string) => wholeTypes.has(type) || this.wanted.get(type)?.has(one);
    if (bad.length === 0 || applies) {
      for (const one of resources) if (!isBad(one.version) && listens(one.name)) used.set(one.name, one.version);
      for (const one of removed) used.delete(one);
      if (this.way === 'world' && wholeTypes.has(type)) {
        for (const one of [...used.keys()]) if (!resources.some((told) => told.name === one)) used.delete(one);
      }
    }
    this.nonces.set(type, nonce);
    // State of the world of these cannot be narrowed down.
    const says = names || (this.way === 'world' && wholeTypes.has(type));
    const error = bad.length === 0 ? undefined : says ? `bad: ${bad.map((one) => one.name).join(', ')}` : '???';
    this.ask(type, { nonce, error, names: this.way === 'world' ? [...(this.wanted.get(type) ?? [])] : [] });
  }

  run(one: Step): void {
    switch (one.kind) {
      case 'update': {
        const text = (of: Readonly<Record<string, number>>) =>
          Object.entries(of)
            .map(([key, n]) => `${key}${n}`)
            .join(' ');
        this.now = snapshotOf(Object.fromEntries(typeNames.map((type) => [type, text(one.tables[type])])));
        this.ready = typeNames.slice(0, Math.max(one.made, this.ready.length));
        this.session.update(this.now, new Set(this.ready));
        return;
      }
      case 'answer':
        this.answer(one.names, one.applies);
        return;
      case 'names':
        this.want(one.type, one.names);
        return;
      case 'back':
        if (one.server) this.quality = openQuality();
        this.connect();
        return;
      case 'noise':
        if (this.way === 'delta') this.ask(one.type, { nonce: `n${one.nonce}`, error: 'a' });
        else if (this.nonces.has(one.type)) this.ask(one.type, { nonce: `n${one.nonce}`, names: ['z'] });
    }
  }

  settle(): void {
    this.ready = typeNames;
    this.session.update(this.now);
    for (let i = 0; this.waiting.length > 0; i++) {
      expect(i).toBeLessThan(1000);
      this.answer(true, true);
    }
  }
}

describe.each(['delta', 'world'] as const)('%s', (way) => {
  test('what is good is used, what is bad is known, and nothing else is there', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const proxy = new RandomProxy(way);
        for (const one of steps) proxy.run(one);
        proxy.settle();
        const refused = new Set(proxy.session.refused().map(({ type, name: of }) => `${type} ${of}`));
        for (const type of typeNames) {
          const used = proxy.used.get(type) as ReadonlyMap<string, string>;
          const wanted = wholeTypes.has(type) ? [...proxy.now[type].keys()] : [...(proxy.wanted.get(type) ?? [])];
          for (const one of wanted) {
            const version = proxy.now[type].get(one)?.version;
            if (version === undefined) continue;
            if (isBad(version)) expect([type, one, refused.has(`${type} ${one}`)]).toEqual([type, one, true]);
            else expect([type, one, used.get(one)]).toEqual([type, one, version]);
          }
          for (const [one, version] of used) {
            expect(isBad(version)).toBe(false);
            const mayStay = way === 'world' && !wholeTypes.has(type);
            // Clusters stay while something refused may stand for what names them.
            if (!mayStay && refused.size === 0)
              expect([type, one, proxy.now[type].has(one)]).toEqual([type, one, true]);
          }
        }
        // Nothing waits, and nothing more comes by itself.
        expect(proxy.session.types().every(({ awaited }) => awaited === 0)).toBe(true);
        proxy.session.update(proxy.now);
        expect(proxy.waiting).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});

test('bytes that are no request throw, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom('delta' as const, 'world' as const),
      (bytes, way) => {
        try {
          const { names, held } = decodeRequest(bytes, way);
          expect(names.length + held.size).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      },
    ),
    { numRuns: 5000 },
  );
});
