// SPDX-License-Identifier: Apache-2.0
// Long lists in parts, short ones in between: what is seen on the way, and that it all ends as if it had come in order.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openReconciler } from '../../src/agent/reconciler.ts';
import { breath } from '../../src/agent/slices.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import type { Change } from '../../src/mesh/model.ts';
import { anyChange } from '../mesh/arbitrary.ts';
import { mortal } from '../support/mortal-plane.ts';
import { normalise } from '../support/normalise.ts';
import { mesh, open, removePod, replacePod, scratch, view } from '../support/small-mesh.ts';

const size = { services: 100, workloads: 1000, perNode: 50 };
/** Every pod replaced by another: puts first, then what goes, as sources tell it. */
const rollout: readonly Change[] = Array.from({ length: size.workloads }, (_, n) => replacePod(n, 1, size))
  .flat()
  .toSorted((a, b) => Number(a.kind === 'remove-workload') - Number(b.kind === 'remove-workload'));

const anyStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ submit: fc.array(anyChange, { maxLength: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ long: fc.array(anyChange, { minLength: 1, maxLength: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ replaceAll: fc.array(anyChange, { maxLength: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ node: fc.constantFrom('n1', 'n2') }) },
  { weight: 3, arbitrary: fc.record({ breaths: fc.integer({ min: 1, max: 3 }) }) },
);

/** So often the same changes again that the list counts as long. */
const lengthened = (changes: readonly Change[]): Change[] =>
  Array.from({ length: 300 }, (_, i) => changes[i % changes.length] as Change).concat(changes);

describe('long lists', () => {
  it('and short ones, in any order and at any time, end as everything in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 12 }), async (steps) => {
        const { plane, reconciler } = open();
        let all: Change[] = [];
        let node = 'n1';
        const under = [reconciler.replaceAll([]), reconciler.setView({ ...view, node })];
        for (const step of steps) {
          if ('breaths' in step) for (let i = 0; i < step.breaths; i++) await breath();
          else if ('node' in step) {
            node = step.node;
            under.push(reconciler.setView({ ...view, node }));
          } else if ('replaceAll' in step) {
            all = [...step.replaceAll];
            under.push(reconciler.replaceAll(step.replaceAll));
          } else {
            const list = 'long' in step ? lengthened(step.long) : step.submit;
            all.push(...list);
            under.push(reconciler.submit(list));
          }
        }
        for (const { error } of await Promise.all(under)) if (error) throw error;
        await reconciler.idle();
        expect(await reconciler.compare()).toEqual([]);
        await reconciler.reclaim();
        const target = openMemory();
        const once = openReconciler({ plane: target, view: { ...view, node } });
        await once.replaceAll(all);
        await once.idle();
        expect(normalise(plane)).toEqual(normalise(target));
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  it('go in several batches, each service as it was or as it will be, none ever empty', async () => {
    let batches = 0;
    const next = new Set(rollout.map((c) => (c.kind === 'put-workload' ? c.workload.uid : '')));
    const { reconciler } = open(
      {},
      {
        onBatch: () => {
          batches++;
          const counts = new Map<number, number>();
          for (const { endpoints } of reconciler.wanted().backends.values()) {
            const replaced = endpoints.filter((e) => next.has(e.workload));
            counts.set(replaced.length, (counts.get(replaced.length) ?? 0) + 1);
            expect(endpoints).toHaveLength(size.workloads / size.services);
          }
          expect([...counts.keys()].every((n) => n === 0 || n === size.workloads / size.services)).toBe(true);
        },
      },
    );
    expect((await reconciler.replaceAll(mesh(size))).error).toBeUndefined();
    batches = 0;
    expect((await reconciler.submit(rollout)).error).toBeUndefined();
    expect(batches).toBeGreaterThan(3);
  });

  it('let short ones go first, and what they wait for is told last', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh(size));
    const told: string[] = [];
    const long = reconciler.submit(rollout).then(() => told.push('long'));
    await breath();
    const short = reconciler.submit([removePod(3)]).then(() => told.push('short'));
    await Promise.all([long, short]);
    expect(told).toEqual(['short', 'long']);
    await reconciler.idle();
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(size), ...rollout, removePod(3)])));
  });

  it('give way to a replacement of everything, and so does who waits for them', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh(size));
    const long = reconciler.submit(rollout);
    await breath();
    await reconciler.replaceAll(mesh());
    expect((await long).error).toBeUndefined();
    await reconciler.idle();
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch(mesh())));
  });

  it('stop when the kernel cannot be written, everybody is told, and are taken up again later', async () => {
    const plane = openMemory();
    const dying = mortal(plane);
    let broken = false;
    const failing = {
      ...dying,
      map: ((name) => {
        if (broken && name === 'backend') throw new Error('no');
        return dying.map(name);
      }) as typeof plane.map,
    };
    const reconciler = openReconciler({ plane: failing, view });
    await reconciler.replaceAll(mesh(size));
    broken = true;
    const outcomes = await Promise.all([reconciler.submit(rollout), reconciler.submit([removePod(3)])]);
    expect(outcomes.map(({ error }) => error?.code)).toEqual(['KM_INTERNAL', 'KM_INTERNAL']);
    const before = reconciler.status().batches;
    await breath();
    expect(reconciler.status().batches).toBe(before);
    broken = false;
    await reconciler.submit([]);
    await reconciler.idle();
    expect(await reconciler.compare()).toEqual([]);
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(size), ...rollout, removePod(3)])));
  });

  it('are told of when the reconciler is closed under way', async () => {
    const { reconciler } = open();
    await reconciler.replaceAll(mesh(size));
    const long = reconciler.submit(rollout);
    await breath();
    await reconciler.close();
    await long;
    expect(reconciler.status().started).toBe(true);
  });
});

describe('a failure before anything is written', () => {
  it('leaves the model as it was, and nothing is forgotten', async () => {
    const { plane, reconciler } = open();
    await reconciler.replaceAll(mesh());
    const { model } = reconciler;
    const unreadable = { ...view };
    Object.defineProperty(unreadable, 'network', {
      get() {
        throw new Error('cannot be read');
      },
    });
    const [moved, changed] = [reconciler.setView(unreadable), reconciler.submit(replacePod(3, 1))];
    expect((await moved).error?.message).toBe('cannot be read');
    expect((await changed).error?.message).toBe('cannot be read');
    expect(reconciler.model).toBe(model);
    expect((await reconciler.setView(view)).error).toBeUndefined();
    await reconciler.idle();
    await reconciler.reclaim();
    expect(normalise(plane)).toEqual(normalise(await scratch([...mesh(), ...replacePod(3, 1)])));
  });
});
