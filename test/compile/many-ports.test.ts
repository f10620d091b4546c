// SPDX-License-Identifier: Apache-2.0
// A service of many ports and many workloads: refused by name before all of it is made, never much at once, and what the kernel holds stays.
import { describe, expect, test } from 'vitest';
import { meshService, meshServiceKey, meshWorkload } from '../../bench/model.ts';
import { untilStopped } from '../../src/agent/slices.ts';
import { type CompileIndex, compileTouched, compiling, emptyIndex } from '../../src/compile/compile.ts';
import type { Image } from '../../src/compile/image.ts';
import { type Plan, planning } from '../../src/compile/plan.ts';
import type { WantedDelta } from '../../src/compile/wanted.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { apply, emptyModel } from '../../src/mesh/apply.ts';
import type { Change, Model, NodeView } from '../../src/mesh/model.ts';
import type { Steps } from '../../src/mesh/steps.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { carryOut } from '../support/carry-out.ts';
import { normalise } from '../support/normalise.ts';
import { imageOf } from '../support/plans.ts';

const view: NodeView = {
  ...{ node: 'other', network: '', clusterId: 'Kubernetes' },
  locality: { region: '', zone: '', subzone: '' },
};
const key = meshServiceKey(0);
const workloads = 1000;

/** Service 0 with so many ports. */
const put = (ports: number): Change => ({ kind: 'put-service', service: meshService(0, { ports }) });
const pod = (n: number): Workload => meshWorkload(n, { services: 1, workloads });
const pods = (): Change[] =>
  Array.from({ length: workloads }, (_, n) => ({ kind: 'put-workload', workload: pod(n) }) as const);

/** The same pods, which count how often somebody asks for their addresses: once for each endpoint that may be made. */
function counted() {
  const asked = { times: 0 };
  const all = Array.from({ length: workloads }, (_, n): Change => {
    const { addresses, ...rest } = pod(n);
    const workload = Object.defineProperty(rest, 'addresses', {
      enumerable: true,
      get() {
        asked.times++;
        return addresses;
      },
    }) as Workload;
    return { kind: 'put-workload', workload };
  });
  return { asked, all };
}

/** Runs `steps`; the most that `count` grew between two pauses. */
function pacing<T>(steps: Steps<T>, count: () => number): { readonly value: T; readonly most: number } {
  let most = 0;
  for (let before = count(); ; before = count()) {
    const step = steps.next();
    most = Math.max(most, count() - before);
    if (step.done) return { value: step.value, most };
  }
}

function compiled(model: Model, index: CompileIndex = emptyIndex) {
  return compileTouched(index, model, view, 'everything');
}

function planned(image: Image, delta: WantedDelta): { readonly plan: Plan; readonly pauses: number } {
  let pauses = 0;
  for (const steps = planning(image, delta); ; pauses++) {
    const step = steps.next();
    if (step.done) return { plan: step.value, pauses };
  }
}

describe('a service of 10,000 ports and 1,000 workloads', () => {
  test('is given up at a bound, a port at a time', () => {
    const { asked, all } = counted();
    const { model } = apply(emptyModel, [put(10_000), ...all]);
    asked.times = 0;
    const { value, most } = pacing(compiling(emptyIndex, model, view, 'everything'), () => asked.times);
    // Not ten million, and between two pauses what a port or two take.
    expect(asked.times).toBeLessThan(2_500_000);
    expect(most).toBeLessThan(10_000);
    expect([...value.delta.backends.values()]).toEqual([
      expect.objectContaining({ name: `${key}:*`, endpoints: [], refused: expect.stringMatching(/^10000 ports with/) }),
    ]);
    expect([...value.delta.frontends.keys()]).toEqual([]);
  });

  test('is refused by name, the rest is served, and what was there before stays until it fits again', () => {
    const other: Change = { kind: 'put-service', service: meshService(1) };
    const plane = openMemory();
    const image = imageOf(plane);
    const first = apply(emptyModel, [put(3), ...pods()]);
    const before = compiled(first.model);
    carryOut(plane, image, planned(image, before.delta).plan);
    const held = normalise(plane);
    expect(Object.keys(held.backends)).toHaveLength(3);

    const next = apply(first.model, [put(10_000), other]);
    const large = compileTouched(before.index, next.model, view, next.touched);
    const { plan } = planned(image, large.delta);
    expect(plan.refused).toEqual([
      expect.objectContaining({
        services: [key],
        shortage: undefined,
        reason:
          '10000 ports with 1000 workloads come to more than 524288 endpoints, which is the most that a service may have',
      }),
    ]);
    carryOut(plane, image, plan);
    const after = normalise(plane);
    expect(after.backends).toMatchObject(held.backends);
    expect(after.frontends).toMatchObject(held.frontends);
    expect(Object.keys(after.backends).filter((name) => !(name in held.backends))).toEqual([
      `${meshServiceKey(1)}:80/4`,
    ]);

    // An agent that starts meanwhile leaves it as it is, too.
    const anew = planned(imageOf(plane), compiled(next.model).delta).plan;
    expect(anew.refused.map(({ services }) => services)).toEqual([[key]]);
    expect(anew.ops).toHaveLength(0);

    const fits = apply(next.model, [put(4)]);
    const small = compileTouched(large.index, fits.model, view, fits.touched);
    const back = planned(image, small.delta).plan;
    expect(back.refused).toEqual([]);
    carryOut(plane, image, back);
    expect(Object.keys(normalise(plane).backends).filter((name) => name.startsWith(key))).toHaveLength(4);
  });

  test('compiling ends at the next pause once the agent is stopped', async () => {
    const { asked, all } = counted();
    const { model } = apply(emptyModel, [put(10_000), ...all]);
    asked.times = 0;
    const stopping = new AbortController();
    setImmediate(() => stopping.abort());
    await expect(untilStopped(compiling(emptyIndex, model, view, 'everything'), stopping.signal)).rejects.toMatchObject(
      {
        code: 'KM_BUSY',
      },
    );
    expect(asked.times).toBeLessThan(500_000);
  });
});

test('ranges that have no room all together are not even laid out, and the reason says how many slots', () => {
  const plane = openMemory({ endpoint: 50_000 });
  const image = imageOf(plane);
  const { model } = apply(emptyModel, [put(100), ...pods()]);
  const { plan } = planned(image, compiled(model).delta);
  expect(plan.refused.map(({ reason, shortage }) => [reason, shortage])).toEqual([
    [
      'map "endpoint" has no room: 100100 slots needed, 49999 free',
      { map: 'endpoint', needed: 100_100, free: 49_999, apart: true },
    ],
  ]);
  expect(Array.from(plan.ops, (op) => (op.kind === 'put' ? op.map : op.kind))).toEqual(['setting']);
});

test('a service of 100 ports is planned a few ranges at a time', () => {
  const image = imageOf(openMemory());
  const { model } = apply(emptyModel, [put(100), ...pods()]);
  const { plan, pauses } = planned(image, compiled(model).delta);
  expect(plan.refused).toEqual([]);
  expect(pauses).toBeGreaterThan(100);
});
