// SPDX-License-Identifier: Apache-2.0
// Plans over random models, cut at every operation: a verdict is always the old one or the new one, whole.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { everythingAuthz } from '../../../src/compile/authz/compile.ts';
import { planningAuthz } from '../../../src/compile/authz/plan.ts';
import type { Image } from '../../../src/compile/image.ts';
import { authzMaps } from '../../../src/compile/limited-maps.ts';
import type { MapHandle } from '../../../src/kernel/dataplane.ts';
import { openMemory } from '../../../src/kernel/memory.ts';
import type { MapSizes } from '../../../src/kernel/sizes.ts';
import { finish } from '../../../src/mesh/steps.ts';
import { carryOutAuthz, releaseLeft, stepAuthz } from '../../support/authz-carry-out.ts';
import { releaseAll } from '../../support/carry-out.ts';
import { imageOf } from '../../support/plans.ts';
import { heldVerdicts, wantedVerdicts, whoIs } from './kernel-verdicts.ts';
import { fresh, hosts, run, steps, told, used } from './plan-run.ts';

describe('plans of authorization, random', () => {
  it('show the old verdict or the new one after each operation, and end as from scratch', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.boolean(), { maxLength: 6 }), (changes, releases) => {
        const { plane, image, of } = run(changes, releases);
        const [index, model] = [of.index(), of.model()];
        expect(image.authz.refused).toEqual([]);
        expect(heldVerdicts(plane)).toEqual(wantedVerdicts(index, model, hosts));
        releaseAll(plane, image);
        const scratch = fresh(index);
        expect(used(image)).toEqual(used(scratch.image));
        const read = imageOf(plane);
        expect(used(read)).toEqual(used(image));
        const again = finish(planningAuthz(read, index, everythingAuthz));
        expect([[...again.ops], again.changes()]).toEqual([[], []]);
      }),
      { numRuns: 30 },
    );
  }, 300_000);

  it('come to the same when they are killed after any operation', () => {
    fc.assert(
      fc.property(steps, steps, fc.nat(), fc.nat(), (first, second, cut, again) => {
        const { plane, image, of, seen } = run(first, [true, false, true]);
        for (const changes of second) of.step(changes);
        const kill = (from: Image, at: number): void => {
          const plan = finish(planningAuthz(from, of.index(), everythingAuthz));
          const ops = [...plan.ops];
          const all = [...seen.inForce.keys(), ...of.index().destinations.keys()];
          seen.begin(of.index(), all, (source) => whoIs(of.model(), source, hosts));
          for (const op of ops.slice(0, ops.length === 0 ? 0 : at % ops.length)) {
            stepAuthz(plane, op);
            seen.check(told(op));
          }
        };
        kill(image, cut);
        kill(imageOf(plane), again);
        const read = imageOf(plane);
        releaseLeft(plane, read, carryOutAuthz(plane, finish(planningAuthz(read, of.index(), everythingAuthz))));
        expect(heldVerdicts(plane)).toEqual(wantedVerdicts(of.index(), of.model(), hosts));
        releaseAll(plane, read);
        const scratch = fresh(of.index());
        expect(used(imageOf(plane))).toEqual(used(scratch.image));
      }),
      { numRuns: 30 },
    );
  }, 300_000);

  const size = (least: number, most: number) => fc.integer({ min: least, max: most });
  const tiny: fc.Arbitrary<MapSizes> = fc.record({
    authz_dest: size(1, 4),
    authz_stack: size(2, 6),
    authz_set: size(2, 8),
    authz_source: size(1, 5),
    authz_value: size(1, 20),
    authz_range: size(1, 20),
    authz_word: size(10, 300),
    authz_member: size(64, 600),
    pod_address: size(1, 4),
  });

  it('leave the old verdicts where there is no room, and come into force when there is', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.boolean(), { maxLength: 6 }), tiny, (changes, releases, sizes) => {
        const { plane, image, of } = run(changes, releases, sizes);
        const { refused } = image.authz;
        if (refused.length === 0) {
          expect(heldVerdicts(plane)).toEqual(wantedVerdicts(of.index(), of.model(), hosts));
        }
        for (const { shortage, reason, name } of refused) {
          expect(shortage.needed).toBeGreaterThan(shortage.free);
          expect(reason).toContain(`map "${shortage.map}" has no room`);
          expect(name).not.toBe('');
        }
        const grown = openMemory();
        for (const map of ['name', 'pod_address', ...authzMaps] as const) {
          const [from, to] = [plane.map(map), grown.map(map)] as unknown as [MapHandle<'name'>, MapHandle<'name'>];
          to.put([...from.entries()]);
        }
        const read = imageOf(grown);
        releaseLeft(grown, read, carryOutAuthz(grown, finish(planningAuthz(read, of.index(), everythingAuthz))));
        expect(read.authz.refused).toEqual([]);
        expect(heldVerdicts(grown)).toEqual(wantedVerdicts(of.index(), of.model(), hosts));
      }),
      { numRuns: 60 },
    );
  }, 300_000);
});
