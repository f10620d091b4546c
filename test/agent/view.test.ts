// SPDX-License-Identifier: Apache-2.0
// Where the node stands, from its own object or its workloads.
import { describe, expect, it } from 'vitest';
import { viewFinder } from '../../src/agent/view.ts';
import { parseLocality } from '../../src/mesh/locality.ts';
import { model, workload } from '../mesh/make.ts';

const a = parseLocality('r1/z1/s1');
const b = parseLocality('r2/z2/s2');

describe('view of the node', () => {
  it('follows the workloads on it, the first by uid', () => {
    const finder = viewFinder('n1');
    const none = finder.update(model([]), [], undefined);
    expect(none).toEqual({ node: 'n1', network: '', clusterId: '', locality: parseLocality('') });
    const one = model([], [workload('b', { node: 'n1', locality: b, network: 'net' })]);
    const first = finder.update(one, ['b'], undefined);
    expect(first).toMatchObject({ locality: b, network: 'net' });
    const two = model([], [...one.workloads.values(), workload('a', { node: 'n1', locality: a })]);
    expect(finder.update(two, ['a'], undefined)).toMatchObject({ locality: a, network: 'net' });
    expect(finder.update(one, ['a'], undefined).locality).toEqual(b);
    expect(finder.update(model([]), ['b'], undefined)).toEqual(none);
  });

  it('prefers what the Node object says, and stays the same object when nothing changed', () => {
    const finder = viewFinder('n1');
    const m = model([], [workload('b', { node: 'n1', locality: b }), workload('c', { node: 'n2', locality: a })]);
    const first = finder.update(m, ['b', 'c'], a);
    expect(first.locality).toEqual(a);
    expect(finder.update(m, ['b', 'c'], { ...a })).toBe(first);
    expect(finder.update(m, [], parseLocality('')).locality).toEqual(b);
  });
});
