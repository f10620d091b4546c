// SPDX-License-Identifier: Apache-2.0
// Who serves a service's port for this node, with what share, and why the others do not.
import { describe, expect, test } from 'vitest';
import { type Candidate, candidates } from '../../src/compile/backend.ts';
import type { Family } from '../../src/compile/endpoints.ts';
import { parseLocality } from '../../src/mesh/locality.ts';
import type { NodeView } from '../../src/mesh/model.ts';
import type { LocalityDistribution, Scope, Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { model, port, service, shop, view, workload } from '../mesh/make.ts';

interface Ask {
  readonly port?: number;
  readonly protocol?: 'tcp' | 'udp';
  readonly family?: Family;
  readonly view?: NodeView;
}

function ask(s: Service, workloads: readonly Workload[], how: Ask = {}): readonly Candidate[] {
  const { port: number = 80, protocol = 'tcp', family = 4 } = how;
  return candidates(model([s], workloads), how.view ?? view, shop, number, protocol, family);
}

/** Short form: "w1 10.0.0.1:8080 50%" or "w1 unhealthy". */
function told(list: readonly Candidate[]): string[] {
  return list.map((c) =>
    c.in ? `${c.workload} ${c.address}:${c.port} ${Math.round(c.probability * 100)}%` : `${c.workload} ${c.code}`,
  );
}

const at = (uid: string, place: string, fields: Partial<Workload> = {}): Workload =>
  workload(uid, { locality: parseLocality(place), ...fields });

const balanced = (mode: Service['loadBalancing']['mode'], ...scopes: Scope[]): Partial<Service> => ({
  loadBalancing: { mode, scopes, healthPolicy: 'only-healthy' },
});

describe('who can serve', () => {
  test.each<[string, Partial<Service>, Partial<Workload>, string]>([
    ['a plain one', {}, {}, 'w 10.0.0.1:8080 100%'],
    ['unhealthy', {}, { status: 'unhealthy' }, 'w unhealthy'],
    [
      'unhealthy, all allowed',
      { loadBalancing: { mode: 'standard', scopes: [], healthPolicy: 'allow-all' } },
      { status: 'unhealthy' },
      'w 10.0.0.1:8080 100%',
    ],
    ['weight 0', {}, { capacity: 0 }, 'w weight'],
    ['another network', {}, { network: 'far' }, 'w network'],
    ['no address', {}, { addresses: [] }, 'w address'],
    ['a name to resolve', {}, { addresses: [], hostname: 'x.test' }, 'w address'],
    ['named port nobody maps', { ports: [port(80, { targetPort: 0 })] }, {}, 'w port'],
    [
      'named port, mapped',
      { ports: [port(80, { targetPort: 0 })] },
      { services: new Map([[shop, [{ servicePort: 80, targetPort: 81 }]]]) },
      'w 10.0.0.1:81 100%',
    ],
    [
      'own port before the service’s',
      {},
      { services: new Map([[shop, [{ servicePort: 80, targetPort: 81 }]]]) },
      'w 10.0.0.1:81 100%',
    ],
    [
      'own port of another service port',
      {},
      { services: new Map([[shop, [{ servicePort: 90, targetPort: 91 }]]]) },
      'w 10.0.0.1:8080 100%',
    ],
    [
      'own port of the other protocol',
      {},
      { services: new Map([[shop, [{ servicePort: 80, targetPort: 81, protocol: 'udp' }]]]) },
      'w 10.0.0.1:8080 100%',
    ],
    ['family the service leaves out', { ipFamilies: 'ipv6' }, {}, 'w family'],
    ['passed through', balanced('passthrough'), {}, 'w passthrough'],
    ['on its node’s addresses', {}, { hostNetwork: true }, 'w 10.0.0.1:8080 100%'],
  ])('%s', (_, s, w, expected) => {
    expect(told(ask(service(s), [workload('w', w)]))).toEqual([expected]);
  });

  test('weights share', () => {
    const list = ask(service(), [workload('a', { capacity: 3 }), workload('b'), workload('c', { capacity: 0 })]);
    expect(told(list)).toEqual(['a 10.0.0.1:8080 75%', 'b 10.0.0.1:8080 25%', 'c weight']);
  });

  test('reasons are for people', () => {
    const list = ask(service(), [
      workload('a', { network: 'far' }),
      workload('b', { addresses: [], hostname: 'x.test' }),
    ]);
    expect(list.map((c) => (c.in ? '' : c.reason))).toEqual([
      'on network "far", this node on ""; it has no network gateway',
      'host name "x.test" is not resolved',
    ]);
  });

  test('of an unknown service or port there are none', () => {
    expect(ask(service(), [workload('w')], { port: 81 })).toEqual([]);
    expect(ask(service(), [workload('w')], { protocol: 'udp' })).toEqual([]);
    expect(candidates(model([]), view, shop, 80, 'tcp', 4)).toEqual([]);
  });
});

describe('families', () => {
  const four = workload('four');
  const six = workload('six', { addresses: ['2001:db8::6'] });
  const both = workload('two', { addresses: ['10.0.0.2', '2001:db8::2'] });
  const any = service({ ports: [port(80, { protocol: 'any' })] });

  test.each<[string, Workload[], Ask, string[]]>([
    [
      'v4 goes to v4',
      [four, six, both],
      { family: 4 },
      ['four 10.0.0.1:8080 50%', 'six family', 'two 10.0.0.2:8080 50%'],
    ],
    ['v4 without any v4 goes to v6', [six], { family: 4 }, ['six 2001:db8::6:8080 100%']],
    [
      'v6 prefers v6, else mapped v4',
      [four, six, both],
      { family: 6 },
      ['four 10.0.0.1:8080 33%', 'six 2001:db8::6:8080 33%', 'two 2001:db8::2:8080 33%'],
    ],
    [
      'v6 by UDP goes to v6 alone where any is',
      [four, six, both],
      { family: 6, protocol: 'udp' },
      ['four family', 'six 2001:db8::6:8080 50%', 'two 2001:db8::2:8080 50%'],
    ],
    ['v6 by UDP without any v6 goes to v4', [four], { family: 6, protocol: 'udp' }, ['four 10.0.0.1:8080 100%']],
    ['v4 by UDP goes to v4', [four, six], { family: 4, protocol: 'udp' }, ['four 10.0.0.1:8080 100%', 'six family']],
  ])('%s', (_, workloads, how, expected) => {
    expect(told(ask(any, workloads, how))).toEqual(expected);
  });

  test('a service of one family uses that family alone', () => {
    expect(told(ask(service({ ipFamilies: 'ipv4' }), [four, six, both], { family: 6 }))).toEqual([
      'four 10.0.0.1:8080 50%',
      'six family',
      'two 10.0.0.2:8080 50%',
    ]);
  });

  test('when those of the first family are too far, the other family is tried, and each says why', () => {
    const strict = service(balanced('strict', 'zone'));
    const list = ask(strict, [at('far', 'r1/z2'), at('near', 'r1/z1', { addresses: ['2001:db8::6'] })]);
    expect(told(list)).toEqual(['far scope', 'near 2001:db8::6:8080 100%']);
  });
});

describe('scopes', () => {
  const workloads = [
    at('1-same', 'r1/z1/s1', { node: 'n1' }),
    at('2-node', 'r1/z1/s1', { node: 'n2' }),
    at('3-subzone', 'r1/z1/s2'),
    at('4-zone', 'r1/z2/s1'),
    at('5-region', 'r2/z1/s1', { node: 'n1' }),
  ];
  const picked = (s: Partial<Service>, list = workloads, v = view): string =>
    ask(service(s), list, { view: v })
      .filter((c) => c.in)
      .map((c) => c.workload[0])
      .join('');

  test.each<[string, Partial<Service>, string]>([
    ['standard: all', balanced('standard', 'region'), '12345'],
    ['strict region', balanced('strict', 'region'), '1234'],
    ['strict region, zone, node', balanced('strict', 'region', 'zone', 'node'), '1'],
    ['strict node', balanced('strict', 'node'), '15'],
    ['strict without scopes: all', balanced('strict'), '12345'],
    ['failover region, zone', balanced('failover', 'region', 'zone'), '123'],
    [
      'failover network, region, zone, subzone, node',
      balanced('failover', 'network', 'region', 'zone', 'subzone', 'node'),
      '1',
    ],
    ['failover: only the prefix that matches counts', balanced('failover', 'region', 'node'), '1'],
    ['failover cluster', balanced('failover', 'cluster'), '12345'],
  ])('%s', (_, s, expected) => {
    expect(picked(s)).toBe(expected);
  });

  test('failover takes the best rank that exists', () => {
    const prefer = balanced('failover', 'network', 'region', 'zone');
    expect(picked(prefer, workloads.slice(3))).toBe('4');
    expect(picked(prefer, workloads.slice(4))).toBe('5');
    expect(picked(prefer, [...workloads.slice(3), at('0-sick', 'r1/z1', { status: 'unhealthy' })])).toBe('4');
  });

  test('strict leaves nobody where nobody matches', () => {
    expect(told(ask(service(balanced('strict', 'node')), [workload('w', { node: 'n2' })]))).toEqual(['w scope']);
  });

  test('a cluster without a name is "Kubernetes"', () => {
    const named = { ...view, clusterId: 'Kubernetes' };
    const list = [workload('1'), workload('2', { clusterId: 'Kubernetes' }), workload('3', { clusterId: 'x' })];
    expect(picked(balanced('strict', 'cluster'), list, named)).toBe('12');
  });

  test('reasons name the scope', () => {
    const list = ask(service(balanced('failover', 'region', 'zone')), workloads);
    expect(list.map((c) => (c.in ? '' : c.reason)).slice(3)).toEqual([
      'nearer ones exist: zone "z2", here "z1"',
      'nearer ones exist: region "r2", here "r1"',
    ]);
  });
});

describe('locality settings of a DestinationRule', () => {
  const set = (locality: Partial<LocalityDistribution>, more: Partial<Service> = {}): Service =>
    service({ locality: { distribute: [], failover: [], ...locality }, ...more });
  const workloads = [
    at('a', 'r1/z1/s1', { capacity: 3 }),
    at('b', 'r1/z1/s2'),
    at('c', 'r1/z2/s1'),
    at('d', 'r2/z1/s1'),
  ];
  const shares = (s: Service, list = workloads): string =>
    ask(s, list)
      .map((c) => (c.in ? `${c.workload}${Math.round(c.probability * 100)}` : `${c.workload}:${c.code}`))
      .join(' ');

  test.each<[string, Partial<LocalityDistribution>, string]>([
    [
      'shares, split by capacity inside each',
      {
        distribute: [
          {
            from: 'r1/z1/*',
            to: new Map([
              ['r1/z1/*', 80],
              ['r1/z2/*', 20],
            ]),
          },
        ],
      },
      'a60 b20 c20 d:share',
    ],
    [
      'a locality without anybody leaves its share to the others',
      {
        distribute: [
          {
            from: 'r1',
            to: new Map([
              ['r1/z1/s1', 60],
              ['r9', 30],
              ['r2', 20],
            ]),
          },
        ],
      },
      'a75 b:share c:share d25',
    ],
    [
      'a share of 0 is none',
      {
        distribute: [
          {
            from: '*',
            to: new Map([
              ['r1', 100],
              ['r2', 0],
            ]),
          },
        ],
      },
      'a60 b20 c20 d:share',
    ],
    [
      'the first rule that fits counts',
      {
        distribute: [
          { from: 'r2', to: new Map([['r2', 100]]) },
          { from: 'r1', to: new Map([['r2', 100]]) },
          { from: '*', to: new Map([['r1', 100]]) },
        ],
      },
      'a:share b:share c:share d100',
    ],
    ['no rule fits: all alike', { distribute: [{ from: 'r7', to: new Map([['r2', 100]]) }] }, 'a50 b17 c17 d17'],
    ['no rules: the nearest', {}, 'a100 b:rank c:rank d:rank'],
  ])('%s', (_, locality, expected) => {
    expect(shares(set(locality))).toBe(expected);
  });

  test('failover goes to the region that is named, else anywhere', () => {
    const far = [at('d', 'r2'), at('e', 'r3')];
    const to = set({ failover: [{ from: 'r1', to: 'r3' }] });
    expect(shares(to, far)).toBe('d:rank e100');
    expect(shares(to, far.slice(0, 1))).toBe('d100');
    expect(shares(to, [...far, at('f', 'r1/z9')])).toBe('d:rank e:rank f100');
    expect(shares(set({ failover: [{ from: 'r5', to: 'r3' }] }), far)).toBe('d50 e50');
  });

  test('replaces failover by scopes, not strict ones', () => {
    expect(
      shares(set({ distribute: [{ from: '*', to: new Map([['r2', 100]]) }] }, balanced('failover', 'region'))),
    ).toBe('a:share b:share c:share d100');
    expect(shares(set({}, balanced('strict', 'subzone')), workloads.slice(1))).toBe('b:scope c100 d:rank');
  });
});
