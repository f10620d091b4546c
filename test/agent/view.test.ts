// SPDX-License-Identifier: Apache-2.0
// Where the node stands, as its workloads say.
import { describe, expect, it } from 'vitest';
import { viewFinder } from '../../src/agent/view.ts';
import { parseLocality } from '../../src/mesh/locality.ts';
import { finish } from '../../src/mesh/steps.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { workload } from '../mesh/make.ts';

const a = parseLocality('r1/z1/s1');
const b = parseLocality('r2/z2/s2');
const put = (uid: string, fields: Partial<Workload>) =>
  ({ kind: 'put-workload', workload: workload(uid, fields) }) as const;
const remove = (uid: string) => ({ kind: 'remove-workload', uid }) as const;

describe('view of the node', () => {
  it('follows the workloads on it, the first by uid', () => {
    const finder = viewFinder('n1');
    const none = finder.view;
    expect(none).toEqual({ node: 'n1', network: '', clusterId: '', locality: parseLocality('') });
    expect(finish(finder.following([put('b', { node: 'n1', locality: b, network: 'net' })]))).toBe(true);
    expect(finder.view).toMatchObject({ locality: b, network: 'net' });
    expect(finish(finder.following([put('a', { node: 'n1', locality: a })]))).toBe(true);
    expect(finder.view).toMatchObject({ locality: a, network: 'net' });
    expect(finish(finder.following([put('a', { node: 'n2', locality: a })]))).toBe(true);
    expect(finder.view.locality).toEqual(b);
    expect([...finder.local.keys()]).toEqual(['b']);
    expect(finish(finder.following([remove('b')]))).toBe(true);
    expect(finder.view).toEqual(none);
  });

  it('says nothing new while only others change, or nothing that counts', () => {
    const finder = viewFinder('n1');
    expect(finish(finder.following([put('x', { node: 'n2', locality: a }), remove('y')]))).toBe(false);
    finish(finder.following([put('b', { node: 'n1', locality: b })]));
    const before = finder.view;
    expect(
      finish(finder.following([put('b', { node: 'n1', locality: b, capacity: 9 }), put('c', { node: 'n1' })])),
    ).toBe(false);
    expect(finder.view).toBe(before);
    expect(finish(viewFinder('').following([put('b', { node: '', locality: b })]))).toBe(false);
  });
});
