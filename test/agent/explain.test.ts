// SPDX-License-Identifier: Apache-2.0
// What the agent says of connections.
import { describe, expect, it } from 'vitest';
import { explainByModel } from '../../src/agent/explain.ts';
import { compileAll } from '../../src/compile/compile.ts';
import { parseLocality } from '../../src/mesh/locality.ts';
import type { Model } from '../../src/mesh/model.ts';
import { model, port, service, view, workload } from '../mesh/make.ts';

const far = parseLocality('r2/z1/s1');
const shopModel = model(
  [
    service({
      ports: [port(80)],
      loadBalancing: { mode: 'failover', scopes: ['region'], healthPolicy: 'only-healthy' },
    }),
    service({
      name: 'own',
      hostname: 'own.dev',
      namespace: 'dev',
      visibility: 'namespace',
      addresses: [{ network: '', address: '10.96.0.9' }],
    }),
  ],
  [
    workload('near', { addresses: ['10.0.0.1'], locality: view.locality, capacity: 3 }),
    workload('near2', { addresses: ['10.0.0.2'], locality: view.locality }),
    workload('far', { addresses: ['10.0.0.3'], locality: far }),
    workload('sick', { addresses: ['10.0.0.4'], locality: view.locality, status: 'unhealthy' }),
    workload('client', { addresses: ['10.0.0.5'], namespace: 'dev', node: 'n1', services: new Map() }),
  ],
);
const state = (m: Model) => ({ model: m, view, wanted: compileAll(m, view) });

describe('explanation by the model', () => {
  it('names service, candidates with shares, and why the others are out', () => {
    const said = explainByModel(state(shopModel), { address: '10.96.0.1', port: 80, protocol: 'tcp' });
    expect(said).toMatchObject({ service: 'shop/cart.shop', backend: 'shop/cart.shop:80/4', namespace: '' });
    const by = Object.fromEntries(said.candidates.map((c) => [c.workload, c]));
    expect(by.near).toMatchObject({ address: '10.0.0.1', port: 8080, weight: 3, probability: 0.75, out: '' });
    expect(by.near2).toMatchObject({ probability: 0.25, out: '' });
    expect(by.sick?.out).toBe('unhealthy');
    expect(by.far?.out).not.toBe('');
    expect(by.far?.probability).toBe(0);
    expect(said.notes.join('\n')).toContain('locality "r1/z1/s1"');
  });

  it.each([
    ['10.96.0.1', 81, 'answers only at tcp/80'],
    ['10.0.0.1', 80, 'that of workload "near" itself'],
    ['192.0.2.1', 80, 'no service or workload has the address'],
    ['10.96.0.9', 80, 'cannot see the services here (dev/own.dev)'],
  ])('says why %s:%d is left alone', (address, portNumber, note) => {
    const said = explainByModel(state(shopModel), { address, port: portNumber, protocol: 'tcp' });
    expect([said.service, said.candidates]).toEqual(['', []]);
    expect(said.notes.join('\n')).toContain(note);
  });

  it("takes the client's namespace from its workload", () => {
    const query = { workload: 'client', address: '10.96.0.9', port: 80, protocol: 'tcp' } as const;
    expect(explainByModel(state(shopModel), query)).toMatchObject({ namespace: 'dev', service: 'dev/own.dev' });
    expect(() => explainByModel(state(shopModel), { ...query, workload: 'nobody' })).toThrow('knows no workload');
    expect(() => explainByModel(state(shopModel), { ...query, address: 'x' })).toThrow('is no address');
  });
});
