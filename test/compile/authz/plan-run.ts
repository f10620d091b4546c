// SPDX-License-Identifier: Apache-2.0
// Random changes planned and carried out over maps in memory, with a look at every verdict after each operation.
import fc from 'fast-check';
import { expect } from 'vitest';
import type { AuthzLeft } from '../../../src/compile/authz/commit.ts';
import { type AuthzDelta, type AuthzIndex, everythingAuthz } from '../../../src/compile/authz/compile.ts';
import type { AuthzDestination } from '../../../src/compile/authz/lists.ts';
import { planningAuthz } from '../../../src/compile/authz/plan.ts';
import { fillOf, type Image } from '../../../src/compile/image.ts';
import type { DataPlane } from '../../../src/kernel/dataplane.ts';
import { openMemory } from '../../../src/kernel/memory.ts';
import type { MapSizes } from '../../../src/kernel/sizes.ts';
import type { Change } from '../../../src/mesh/model.ts';
import { finish } from '../../../src/mesh/steps.ts';
import { carryOutAuthz, releaseLeft } from '../../support/authz-carry-out.ts';
import { imageOf } from '../../support/plans.ts';
import { compiledVerdict, heldVerdict, probes, type Who, whoIs } from './kernel-verdicts.ts';
import { anyChange, everyPod, open } from './opened.ts';

export const hosts = new Set(['10.0.1.1', '10.0.0.2']);
export const steps = fc.array(fc.array(anyChange, { maxLength: 4 }), { minLength: 1, maxLength: 6 });

export function fresh(index: AuthzIndex): { plane: DataPlane; image: Image } {
  const plane = openMemory();
  const image = imageOf(plane);
  releaseLeft(plane, image, carryOutAuthz(plane, finish(planningAuthz(image, index, everythingAuthz))));
  return { plane, image };
}

/** What is taken; words are kept for vectors that only a later look finds to be unused. */
export function used(image: Image): Record<string, number> {
  const { authz_word: _, ...fills } = fillOf(image);
  return Object.fromEntries(Object.entries(fills).map(([map, fill]) => [map, fill.used]));
}

/** A model that changes, compiled with hosts. */
function opened() {
  const of = open();
  of.set({ enforcement: everyPod(of.model(), [...hosts]) });
  return {
    ...of,
    step(changes: readonly Change[]): AuthzDelta {
      const delta = of.step(...changes);
      const again = of.set({ enforcement: everyPod(of.model(), [...hosts]) });
      // Pods are known after the step only: what either touched.
      const both = (a: ReadonlySet<string> | 'all', b: ReadonlySet<string> | 'all') =>
        a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b]);
      return {
        destinations: both(delta.destinations, again.destinations),
        sources: both(delta.sources, again.sources),
        identities: both(delta.identities, again.identities),
        pods: true,
      };
    },
  };
}

/** Follows what is in force, so that each verdict can be one of those that it may be. */
function watch(plane: DataPlane) {
  const inForce = new Map<string, AuthzDestination>();
  let next: ReadonlyMap<string, AuthzDestination> = new Map();
  let changing: ReadonlySet<string> = new Set();
  const whos = new Map<string, Who[]>();
  return {
    /** A plan that brings `destinations` of `index` in force is about to be carried out. */
    begin(index: AuthzIndex, destinations: readonly string[], who: (source: string) => Who) {
      next = index.destinations;
      changing = new Set(destinations);
      for (const { source } of probes) whos.set(source, [...(whos.get(source) ?? [undefined]), who(source)]);
    },
    end() {
      for (const to of changing) {
        const now = next.get(to);
        if (now) inForce.set(to, now);
        else inForce.delete(to);
      }
      changing = new Set();
    },
    /** Sources have no identity of before any more. */
    settled() {
      for (const [source, list] of whos) whos.set(source, list.slice(-1));
    },
    check(at: string) {
      for (const to of new Set([...inForce.keys(), ...changing])) {
        const policies = changing.has(to) ? [inForce.get(to), next.get(to)] : [inForce.get(to)];
        for (const probe of probes) {
          const may = policies.flatMap((of) =>
            (whos.get(probe.source) ?? []).map((who) => compiledVerdict(of, who, probe)),
          );
          const seen = heldVerdict(plane, to, probe);
          if (!may.includes(seen)) expect({ at, to, probe, seen }).toEqual({ may });
        }
      }
    },
    inForce,
  };
}

export const told = (op: object) =>
  JSON.stringify(op, (_, value) => (typeof value === 'bigint' ? String(value) : value));

export function run(changes: readonly (readonly Change[])[], releases: readonly boolean[], sizes: MapSizes = {}) {
  const plane = openMemory(sizes);
  const image = imageOf(plane);
  const of = opened();
  const { step, index, model } = of;
  const seen = watch(plane);
  const lefts: AuthzLeft[] = [];
  const release = (): void => {
    const left = lefts.shift();
    if (left) releaseLeft(plane, image, left, (op) => seen.check(`release ${told(op)}`));
    if (lefts.length === 0 && image.authz.refused.length === 0) seen.settled();
  };
  const bring = (delta: AuthzDelta): void => {
    const plan = finish(planningAuthz(image, index(), delta));
    expect(plan.ops.length).toBe([...plan.ops].length);
    const now = model();
    seen.begin(index(), plan.destinations, (source) => whoIs(now, source, hosts));
    lefts.push(carryOutAuthz(plane, plan, (op) => seen.check(told(op))));
    seen.end();
    seen.check('end');
  };
  bring(everythingAuthz);
  for (const [i, some] of changes.entries()) {
    bring(step(some));
    if (releases[i]) release();
  }
  while (lefts.length > 0) release();
  return { plane, image, of, seen };
}
