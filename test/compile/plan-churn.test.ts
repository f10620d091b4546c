// SPDX-License-Identifier: Apache-2.0
// An hour in which 100 pods a second are replaced: every second's changes are planned and carried out together.
import { describe, expect, it } from 'vitest';
import { fillOf, type Leftovers, settle } from '../../src/compile/image.ts';
import type { WantedBackend } from '../../src/compile/wanted.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { finish } from '../../src/mesh/steps.ts';
import { carryOut, releaseAll, step } from '../support/carry-out.ts';
import { normalise } from '../support/normalise.ts';
import { imageOf, planAll, planDelta } from '../support/plans.ts';
import { backend, frontend, want } from '../support/small-wanted.ts';

const seconds = 3600;
const podsASecond = 100;
const services = 20;
const podsAService = 10;
/** Ids are asked back every so often; leftovers wait this long for their grace period. */
const releaseEvery = 5;
const graceSeconds = 1;

describe('an hour of 100 pod changes a second', () => {
  it('leaks no id, no name and no slot, and never runs out of room', () => {
    // Pods there are, pods replaced within six seconds, and id 0; ranges there are and those of two seconds more.
    const sizes = {
      active: 200 + 6 * podsASecond + 1,
      name: 200 + 6 * podsASecond + 40,
      endpoint: 3 * 220 + 11,
      backend: 21,
      robin: 21,
    };
    const plane = openMemory(sizes);
    const image = imageOf(plane);
    const pods = Array.from({ length: services }, (_, s) =>
      Array.from({ length: podsAService }, (_, i) => s * podsAService + i + 1),
    );
    const backendOf = (s: number): WantedBackend => backend(`s${s}`, pods[s] as number[]);
    const frontends = pods.map((_, s) => frontend(`tcp/10.0.0.${s + 1}:80`, `s${s}`));
    const wanted = () => want(...pods.map((_, s) => backendOf(s)), ...frontends);
    carryOut(plane, image, planAll(image, wanted()));

    const waiting: Leftovers[] = [];
    let next = 1000;
    let turn = 0;
    for (let second = 0; second < seconds; second++) {
      const touched = new Set<number>();
      for (let i = 0; i < podsASecond; i++) {
        const s = turn % services;
        (pods[s] as number[])[Math.floor(turn / services) % podsAService] = next++;
        touched.add(s);
        turn++;
      }
      // Workload names never come back; addresses do, as they would on a node.
      const backends = new Map([...touched].map((s) => [`ns/s${s}:80/4`, backendOf(s)]));
      const plan = planDelta(image, { backends, frontends: new Map(), clients: new Map(), ports: new Map() });
      if (plan.refused.length > 0) throw new Error(`second ${second}: ${plan.refused[0]?.reason}`);
      for (const op of plan.ops) step(plane, op);
      waiting.push(finish(plan.commit()));
      while (waiting.length > graceSeconds) finish(settle(image, waiting.shift() as Leftovers));
      if (second % releaseEvery === 0) releaseAll(plane, image);
    }
    for (const left of waiting) finish(settle(image, left));
    releaseAll(plane, image);

    const scratch = openMemory(sizes);
    const fresh = imageOf(scratch);
    carryOut(scratch, fresh, planAll(fresh, wanted()));
    expect(normalise(plane)).toEqual(normalise(scratch));
    const used = (of: typeof image) => Object.entries(fillOf(of)).map(([map, fill]) => [map, fill.used]);
    expect(used(image)).toEqual(used(fresh));
    expect(used(imageOf(plane))).toEqual(used(fresh));
  }, 120_000);
});
