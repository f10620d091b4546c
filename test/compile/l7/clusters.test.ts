// SPDX-License-Identifier: Apache-2.0
// Where a waypoint sends requests: to those whom its node would send connections to, with the same shares.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eligibleFor } from '../../../src/compile/eligible.ts';
import { endpointsOf as kernelEndpoints } from '../../../src/compile/endpoints.ts';
import { clusterOf, endpointsOf } from '../../../src/compile/l7/clusters.ts';
import { parseLocality } from '../../../src/mesh/locality.ts';
import type { NodeView } from '../../../src/mesh/model.ts';
import type { Service } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { port, service, view, workload } from '../../mesh/make.ts';

const locality = fc
  .tuple(fc.constantFrom('r1', 'r2'), fc.constantFrom('z1', 'z2'), fc.constantFrom('s1', 's2'))
  .map(([region, zone, subzone]) => ({ region, zone, subzone }));
const aWorkload = fc
  .record({
    locality,
    status: fc.constantFrom('healthy' as const, 'healthy' as const, 'unhealthy' as const),
    capacity: fc.constantFrom(0, 1, 2, 7, 4_000_000_000),
    node: fc.constantFrom('n1', 'n2'),
    network: fc.constantFrom('', '', '', 'other'),
  })
  .map((fields) => fields);
const someWorkloads = fc
  .array(aWorkload, { maxLength: 6 })
  .map((list) => list.map((fields, i) => workload(`w${i}`, { ...fields, addresses: [`10.0.0.${i + 1}`] })));
const scopes = fc.uniqueArray(fc.constantFrom('region', 'zone', 'subzone', 'node', 'network', 'cluster'), {
  maxLength: 3,
}) as fc.Arbitrary<Service['loadBalancing']['scopes']>;
const share = fc.dictionary(fc.constantFrom('r1/*', 'r2/*', 'r1/z1/*', '*'), fc.integer({ min: 0, max: 100 }));
const aService = fc
  .record({
    mode: fc.constantFrom('standard' as const, 'strict' as const, 'failover' as const),
    scopes,
    healthPolicy: fc.constantFrom('only-healthy' as const, 'allow-all' as const),
    distribute: fc.option(fc.array(fc.record({ from: fc.constantFrom('*', 'r1/*', 'r2/*'), to: share }))),
    failover: fc.array(fc.record({ from: fc.constantFrom('r1', 'r2'), to: fc.constantFrom('r1', 'r2') })),
  })
  .map(({ distribute, failover, ...loadBalancing }) =>
    service({
      loadBalancing,
      ...(distribute && {
        locality: {
          distribute: distribute.map(({ from, to }) => ({ from, to: new Map(Object.entries(to)) })),
          failover,
        },
      }),
    }),
  );

const eighty = port(80);
const here: NodeView = { ...view, locality: parseLocality('r1/z1/s1') };
function sentTo(of: Service, workloads: readonly Workload[], from: NodeView) {
  return (endpointsOf(of, eighty, workloads, from).endpoints[0]?.lbEndpoints ?? []).map((one) => ({
    address: one.endpoint.address.socketAddress.address,
    port: one.endpoint.address.socketAddress.portValue,
    weight: one.loadBalancingWeight,
  }));
}
const share32 = 2 ** 32;

describe('endpoints', () => {
  test('are those of the kernel', () => {
    fc.assert(
      fc.property(aService, someWorkloads, (of, workloads) => {
        const eligible = eligibleFor(of, workloads, here, eighty, 'tcp');
        const wanted = kernelEndpoints(of, eligible, here, 4, 'tcp');
        const got = sentTo(of, workloads, here);
        expect(got.map((one) => one.address)).toEqual(wanted.map((one) => one.address));
        const sum = wanted.reduce((total, { weight }) => total + weight, 0);
        for (const [i, one] of got.entries()) {
          if (sum < share32) expect(one.weight).toBe(wanted[i]?.weight);
          else expect(Math.abs(one.weight - ((wanted[i]?.weight ?? 0) * share32) / sum)).toBeLessThan(16);
        }
        expect(got.reduce((total, { weight }) => total + weight, 0)).toBeLessThan(share32);
        expect(got.every(({ weight }) => weight > 0)).toBe(true);
      }),
    );
  });

  test('of a waypoint that does not know where it is: neighbours are everybody', () => {
    const nowhere: NodeView = { ...view, node: '', locality: parseLocality('') };
    const workloads = ['r1', 'r2'].map((region, i) =>
      workload(`w${i}`, { addresses: [`10.0.0.${i + 1}`], node: `n${i}`, locality: parseLocality(region) }),
    );
    for (const mode of ['strict', 'failover'] as const) {
      for (const scope of ['node', 'region', 'zone'] as const) {
        const of = service({ loadBalancing: { mode, scopes: [scope], healthPolicy: 'only-healthy' } });
        expect(sentTo(of, workloads, nowhere)).toHaveLength(2);
      }
    }
  });

  test('IPv6 where there is no IPv4, and ports of their own', () => {
    const key = 'shop/cart.shop';
    const workloads = [
      workload('a', { addresses: ['2001:db8::1', '10.0.0.1'] }),
      workload('b', { addresses: ['2001:db8::2'], services: new Map([[key, [{ servicePort: 80, targetPort: 9 }]]]) }),
    ];
    expect(sentTo(service(), workloads, view)).toEqual([
      { address: '10.0.0.1', port: 8080, weight: 1 },
      { address: '2001:db8::2', port: 9, weight: 1 },
    ]);
  });
});

test('policies of choice', () => {
  const of = (balancer: Service['balancer']) => clusterOf(service({ balancer }), eighty).lbPolicy;
  expect([
    of({ policy: 'random', affinitySeconds: 0 }),
    of({ policy: 'random', stated: true, affinitySeconds: 0 }),
    of({ policy: 'round-robin', affinitySeconds: 0 }),
    of({ policy: 'least-request', affinitySeconds: 0 }),
    of({ policy: 'source-hash', affinitySeconds: 0 }),
    of({ policy: 'round-robin', affinitySeconds: 10 }),
  ]).toEqual([1, 3, 0, 1, 5, 5]);
  const through = clusterOf(
    service({ loadBalancing: { mode: 'passthrough', scopes: [], healthPolicy: 'only-healthy' } }),
    eighty,
  );
  expect(through).toMatchObject({ type: 4, lbPolicy: 6 });
});
