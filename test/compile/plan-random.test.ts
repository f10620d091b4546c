// SPDX-License-Identifier: Apache-2.0
// Plans over random sequences of desired states.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backendFlag } from '../../src/abi/structs.ts';
import { fillOf, type Image } from '../../src/compile/image.ts';
import type { Operation } from '../../src/compile/operation.ts';
import type { Wanted, WantedBackend, WantedVia } from '../../src/compile/wanted.ts';
import type { DataPlane } from '../../src/kernel/dataplane.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { carryOut, releaseAll, step } from '../support/carry-out.ts';
import { normalise } from '../support/normalise.ts';
import { imageOf, planAll, planDelta } from '../support/plans.ts';
import { deltaBetween, dialled, namespaces, nothingWanted, wantedArb } from '../support/random-wanted.ts';
import { look, namesIn, type Seen } from '../support/simulated-reader.ts';
import { backend, endpoint, frontend, want } from '../support/small-wanted.ts';

const sizes = { endpoint: 4096, maglev: 65536, backend: 1024, robin: 1024, active: 1024 };

function fresh(wanted: Wanted) {
  const plane = openMemory(sizes);
  const image = imageOf(plane);
  carryOut(plane, image, planAll(image, wanted));
  return { plane, image };
}

/** Everything that counts as used, without which ids and slots they are. */
function used(image: Image) {
  return {
    fills: Object.fromEntries(Object.entries(fillOf(image)).map(([map, fill]) => [map, fill.used])),
    udp: image.udpFrontends,
    vias: Object.fromEntries([...image.vias].sort(([a], [b]) => (a < b ? -1 : 1))),
    told: [...image.told].sort(([a], [b]) => (a < b ? -1 : 1)),
    anyPorts: image.anyPorts,
    leads: Object.fromEntries([...image.leads].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** Namespace ids of clients: of none, and of each namespace that the kernel knows. */
function clientsIn(plane: DataPlane): Map<string, number> {
  const { namespace } = imageOf(plane).ids;
  return new Map([['', 0], ...namespaces.map((n) => [n, namespace.idOf(n) ?? 0] as const)]);
}

/** What every client sees of every address. */
function views(plane: DataPlane, clients: ReadonlyMap<string, number>): Map<string, Seen> {
  const names = namesIn(plane);
  const out = new Map<string, Seen>();
  for (const { address, protocol, varies } of dialled) {
    for (const [namespace, namespaceId] of varies ? clients : [['', 0] as const]) {
      const seen = look(plane, { address, port: 80, protocol, namespaceId }, names);
      out.set(`${protocol} ${address} from ${namespace}`, seen);
    }
  }
  return out;
}

/** Slots of what a range goes through, and of the ports where not. */
const behind = (plane: DataPlane, at: number): number => 1 + Math.ceil(plane.via(at).listed / 16);

/** Whether some reader may look at the slot that `op` wrote. What none can reach changes nothing for anybody. */
function isPublished(plane: DataPlane, op: Operation): boolean {
  if (op.kind === 'grace' || op.map === 'name') return false;
  if (op.map !== 'endpoint' && op.map !== 'maglev') return true;
  for (const [, { first }] of plane.map('backend').entries()) {
    const header = plane.header(first);
    const [start, length] =
      op.map === 'endpoint'
        ? [first, header.count + 1 + (header.flags & backendFlag.via ? behind(plane, first + 1 + header.count) : 0)]
        : [header.maglev_first, (header.maglev_size + 1) >>> 1];
    if (op.key >= start && op.key < start + length) return true;
  }
  return false;
}

const sets = (of: ReadonlyMap<string, Seen>) =>
  new Map([...of.values()].flatMap((s) => [[s.backend, s.set] as const, [s.via, s.viaSet] as const]));

describe('plan, random', () => {
  it('comes to what planning from scratch comes to, and leaks nothing', () => {
    fc.assert(
      fc.property(fc.array(wantedArb, { minLength: 1, maxLength: 6 }), fc.boolean(), (states, deltas) => {
        const plane = openMemory(sizes);
        const image = imageOf(plane);
        let before = nothingWanted;
        for (const wanted of states) {
          const plan = deltas ? planDelta(image, deltaBetween(before, wanted)) : planAll(image, wanted);
          expect(plan.refused).toEqual([]);
          carryOut(plane, image, plan);
          expect([...planAll(image, wanted).ops]).toEqual([]);
          before = wanted;
        }
        releaseAll(plane, image);
        const scratch = fresh(before);
        expect(normalise(plane)).toEqual(normalise(scratch.plane));
        expect(used(image)).toEqual(used(scratch.image));
        // And the pins alone say the same.
        const read = imageOf(plane);
        expect(used(read)).toEqual(used(image));
        expect([...planAll(read, before).ops]).toEqual([]);
      }),
      { numRuns: 80 },
    );
  }, 60_000);

  it('shows every reader the old set or the new one after each operation', () => {
    fc.assert(
      fc.property(wantedArb, wantedArb, (first, second) => {
        const { plane, image } = fresh(first);
        const target = fresh(second).plane;
        const [old, next] = [views(plane, clientsIn(plane)), views(target, clientsIn(target))];
        const [oldSets, nextSets] = [sets(old), sets(next)];
        const clients = clientsIn(plane);
        const plan = planDelta(image, deltaBetween(first, second));
        const done: string[] = [];
        carryOut(plane, image, plan, (op) => {
          if (!isPublished(plane, op)) return;
          done.push(op.kind === 'grace' ? 'grace' : `${op.kind} ${op.map} ${op.about}`);
          for (const [who, seen] of views(plane, clients)) {
            const backends = [old.get(who)?.backend, next.get(who)?.backend];
            // Clients of a namespace that comes with this plan are taken for others until it is there.
            backends.push(next.get(who.replace(/from .*/, 'from '))?.backend);
            // The whole set of then, or the whole set of now, of the backend of then or of now.
            const whole = [oldSets.get(seen.backend), nextSets.get(seen.backend)].includes(seen.set);
            const through = [oldSets.get(seen.via), nextSets.get(seen.via)].includes(seen.viaSet);
            if (!whole || !through || !backends.includes(seen.backend))
              expect({ who, done, seen }).toEqual({ who, done, backends });
          }
        });
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it('leads nobody past a waypoint while two services exchange their addresses', () => {
    const way: WantedBackend = {
      ...backend('way', [9]),
      name: 'waypoint:ns/way/4',
      service: 'waypoint:ns/way',
      endpoints: [{ ...endpoint(9), header: 'proxy' }],
    };
    const via: WantedVia = { backend: way.name, unready: 'refuse', serverFirst: false };
    const open = backend('b', [3, 4]);
    const states = [{ ...open, via }, open].flatMap((b) =>
      ['12', '21'].map((order) =>
        want(
          way,
          ...[backend('a', order === '12' ? [1, 2] : [1], { via }), b],
          frontend('tcp/10.0.0.1:80', order === '12' ? 'a' : 'b'),
          frontend('tcp/10.0.0.2:80', order === '12' ? 'b' : 'a'),
        ),
      ),
    );
    for (const [first, second] of states.flatMap((from) => states.map((to) => [from, to] as const))) {
      const { plane, image } = fresh(first);
      carryOut(plane, image, planDelta(image, deltaBetween(first, second)), () => {
        for (const address of ['10.0.0.1', '10.0.0.2']) {
          const seen = look(plane, { address, port: 80, protocol: 'tcp', namespaceId: 0 }, namesIn(plane));
          expect(['ns/a:80/4', 'ns/b:80/4']).toContain(seen.backend);
          if (seen.backend === 'ns/a:80/4') expect(seen).toMatchObject({ via: way.name });
        }
      });
    }
  });

  it('ends with the same contents when it is killed after any operation', () => {
    fc.assert(
      fc.property(wantedArb, wantedArb, fc.nat(), fc.nat(), (first, second, cut, again) => {
        const { plane, image } = fresh(first);
        const kill = (from: Image, at: number) => {
          const ops = [...planAll(from, second).ops];
          for (const op of ops.slice(0, ops.length === 0 ? 0 : at % ops.length)) step(plane, op);
        };
        kill(image, cut);
        kill(imageOf(plane), again);
        const read = imageOf(plane);
        carryOut(plane, read, planAll(read, second));
        releaseAll(plane, read);
        const scratch = fresh(second);
        expect(normalise(plane)).toEqual(normalise(scratch.plane));
        expect(used(imageOf(plane))).toEqual(used(scratch.image));
      }),
      { numRuns: 80 },
    );
  }, 60_000);
});
