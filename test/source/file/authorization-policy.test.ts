// SPDX-License-Identifier: Apache-2.0
// AuthorizationPolicy documents: what becomes of them, which workloads name them, and what is said of them.
import { describe, expect, test } from 'vitest';
import { emptyMatch, isEmptyMatch, type Policy } from '../../../src/mesh/policy.ts';
import { built, lines, pod, policy, says } from './texts.ts';

/** Policies of texts that have no fault, with only those fields of matches that hold something. */
function policies(...texts: string[]): Policy[] {
  const made = built(...texts);
  expect(lines(made.report.faults)).toEqual([]);
  return [...made.policies.values()].map((p) => ({
    ...p,
    rules: p.rules.map((rule) => rule.map((clause) => clause.map(short))),
  }));
}

function short(match: object): never {
  return Object.fromEntries(Object.entries(match).filter(([, list]) => list.length > 0)) as never;
}

const rulesOf = (spec: string) => policies(policy(spec))[0]?.rules;
const exact = (value: string) => ({ kind: 'exact', value });

describe('fields', () => {
  test('from, to and when are clauses; entries of a clause are alternatives', () => {
    expect(
      rulesOf(`rules: [{
        from: [{source: {namespaces: [a]}}, {source: {principals: [cluster.local/ns/b/sa/c]}}],
        to: [{operation: {ports: ["80", "0443"], notPorts: ["8080"]}}],
        when: [{key: source.ip, values: [10.0.0.1], notValues: [10.1.2.3/16]}]}]`),
    ).toEqual([
      [
        [{ destinationPorts: [80, 443], notDestinationPorts: [8080] }],
        [{ namespaces: [exact('a')] }, { principals: [exact('cluster.local/ns/b/sa/c')] }],
        [
          {
            sourceIps: [{ address: '10.0.0.1', length: 32 }],
            notSourceIps: [{ address: '10.1.0.0', length: 16 }],
          },
        ],
      ],
    ]);
  });

  test('every field of a source, and its not form', () => {
    const at = (name: string, value: string) => rulesOf(`rules: [{from: [{source: {${name}: [${value}]}}]}]`);
    const forms = [
      ['"*"', { kind: 'presence' }],
      ['"*b"', { kind: 'suffix', value: 'b' }],
      ['"a*"', { kind: 'prefix', value: 'a' }],
      ['"a*b"', exact('a*b')],
      ['"*a*"', { kind: 'suffix', value: 'a*' }],
      ['a', exact('a')],
    ] as const;
    for (const [text, match] of forms) {
      for (const name of ['namespaces', 'notNamespaces', 'principals', 'notPrincipals']) {
        expect(at(name, text)).toEqual([[[{ [name]: [match] }]]]);
      }
    }
    for (const name of ['serviceAccounts', 'notServiceAccounts']) {
      expect(at(name, 'a, b/c')).toEqual([
        [
          [
            {
              [name]: [
                { namespace: 'shop', serviceAccount: 'a' },
                { namespace: 'b', serviceAccount: 'c' },
              ],
            },
          ],
        ],
      ]);
    }
    expect(at('ipBlocks', '10.0.0.1, 10.1.2.3/8, "2001:db8::1", "2001:db8:1::/48", "::ffff:10.0.0.0/104"')).toEqual([
      [
        [
          {
            sourceIps: [
              { address: '10.0.0.1', length: 32 },
              { address: '10.0.0.0', length: 8 },
              { address: '2001:db8::1', length: 128 },
              { address: '2001:db8:1::', length: 48 },
              { address: '10.0.0.0', length: 8 },
            ],
          },
        ],
      ],
    ]);
    expect(at('notIpBlocks', '0.0.0.0/0')).toEqual([[[{ notSourceIps: [{ address: '0.0.0.0', length: 0 }] }]]]);
  });

  test('every key of a condition, and notValues', () => {
    const at = (key: string, values: string) => rulesOf(`rules: [{when: [{key: ${key}, ${values}}]}]`);
    expect(at('source.namespace', 'values: ["a*"], notValues: [b]')).toEqual([
      [[{ namespaces: [{ kind: 'prefix', value: 'a' }], notNamespaces: [exact('b')] }]],
    ]);
    expect(at('source.principal', 'values: ["*"]')).toEqual([[[{ principals: [{ kind: 'presence' }] }]]]);
    expect(at('source.serviceAccount', 'notValues: [a]')).toEqual([
      [[{ notServiceAccounts: [{ namespace: 'shop', serviceAccount: 'a' }] }]],
    ]);
    expect(at('source.ip', 'notValues: [10.0.0.0/8]')).toEqual([
      [[{ notSourceIps: [{ address: '10.0.0.0', length: 8 }] }]],
    ]);
    expect(at('destination.ip', 'values: ["2001:db8::/32"], notValues: [10.0.0.1]')).toEqual([
      [
        [
          {
            destinationIps: [{ address: '2001:db8::', length: 32 }],
            notDestinationIps: [{ address: '10.0.0.1', length: 32 }],
          },
        ],
      ],
    ]);
    expect(at('destination.port', 'values: ["80"], notValues: ["81"]')).toEqual([
      [[{ destinationPorts: [80], notDestinationPorts: [81] }]],
    ]);
  });

  test('an empty rule holds always; no rules never do', () => {
    expect(rulesOf('rules: [{}]')).toEqual([[]]);
    expect(rulesOf('')).toEqual([]);
    expect(policies(policy('').replace('spec: {}', 'spec:'))[0]?.rules).toEqual([]);
  });

  test('action and dry run', () => {
    const of = (spec: string, meta = '') => policies(policy(spec, meta, 'v1beta1'))[0];
    expect(of('')).toMatchObject({ action: 'allow', dryRun: false });
    expect(of('action: DENY, rules: [{}]')).toMatchObject({ action: 'deny', dryRun: false });
    expect(of('', ', annotations: {istio.io/dry-run: "true"}')).toMatchObject({ dryRun: true });
    expect(of('', ', annotations: {istio.io/dry-run: "F"}')).toMatchObject({ dryRun: false });
  });
});

describe('scope', () => {
  const root = (text: string) => text.replace('namespace: shop', 'namespace: istio-system');

  test('no selector: the namespace, or all when it is the root namespace', () => {
    expect(policies(policy(''))[0]?.scope).toBe('namespace');
    expect(policies(policy('selector: {}'))[0]?.scope).toBe('namespace');
    expect(policies(root(policy('')))[0]?.scope).toBe('global');
  });

  test('a selector: named by the workloads that it selects', () => {
    const texts = [pod('a', 'app: a'), pod('ab', 'app: a, tier: b'), pod('other', 'app: a', 'b')];
    const named = (...more: string[]) =>
      Object.fromEntries(
        [...built(...texts, ...more).workloads.values()].map((w) => [w.name, w.authorizationPolicies]),
      );
    const selected = policy('selector: {matchLabels: {app: a, tier: b}}');
    expect(policies(selected)[0]?.scope).toBe('selector');
    expect(named(selected)).toEqual({ a: [], ab: ['shop/p'], other: [] });
    const everywhere = root(policy('selector: {matchLabels: {app: a}}'));
    expect(named(selected, everywhere)).toEqual({
      a: ['istio-system/p'],
      ab: ['istio-system/p', 'shop/p'],
      other: ['istio-system/p'],
    });
  });

  test('workload entries and endpoints of service entries have them too', () => {
    const { workloads } = built(
      policy('selector: {matchLabels: {app: a}}'),
      `
      apiVersion: networking.istio.io/v1
      kind: WorkloadEntry
      metadata: {name: vm, namespace: shop, labels: {app: a}}
      spec: {address: 10.9.0.1}
    `,
      `
      apiVersion: networking.istio.io/v1
      kind: ServiceEntry
      metadata: {name: api, namespace: shop, labels: {app: a}}
      spec: {hosts: [api.example.com], ports: [{number: 80, name: http}], resolution: STATIC, endpoints: [{address: 10.9.0.2}]}
    `,
    );
    expect([...workloads.values()].map((w) => w.authorizationPolicies)).toEqual([['shop/p'], ['shop/p']]);
  });

  test('what is for waypoints, or of an action that only they know, has no effect', () => {
    expect(policies(policy('targetRefs: [{kind: Service, name: a}], action: DENY, rules: [{}]'))).toEqual([]);
    expect(policies(policy('targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: a}'))).toEqual([]);
    expect(policies(policy('action: AUDIT'))).toEqual([]);
    expect(policies(policy('action: CUSTOM, provider: {name: x}, rules: [{}]'))).toEqual([]);
    expect(says(policy('action: AUDIT'))).toMatchInlineSnapshot(
      `"warning a.yaml:4:16: AuthorizationPolicy shop/p: spec.action: AUDIT is not supported: the policy has no effect here"`,
    );
  });
});

describe('HTTP attributes', () => {
  const http = [
    'to: [{operation: {methods: [GET]}}]',
    'to: [{operation: {ports: ["80"], notPaths: [/a]}}]',
    'from: [{source: {remoteIpBlocks: [10.0.0.1]}}]',
    'from: [{source: {namespaces: [a], requestPrincipals: ["*"]}}]',
    'from: [{source: {namespaces: [a], trustDomains: [td]}}]',
    'when: [{key: "request.headers[x]", values: [y]}]',
    'when: [{key: source.trustDomain, values: [y]}]',
  ];

  test('an ALLOW rule that holds one is left out whole', () => {
    for (const rule of http) {
      expect(rulesOf(`rules: [{${rule}}, {to: [{operation: {ports: ["80"]}}]}]`)).toEqual([
        [[{ destinationPorts: [80] }]],
      ]);
    }
    expect(
      says(policy('rules: [{to: [{operation: {ports: ["80"], methods: [GET], hosts: [a]}}]}]')),
    ).toMatchInlineSnapshot(
      `"warning a.yaml:4:16: AuthorizationPolicy shop/p: spec.rules[0]: is left out, as it holds HTTP attributes, which only waypoints check: hosts, methods"`,
    );
  });

  test('a DENY rule keeps the rest; without any it never denies, and that is said', () => {
    const made = (rule: string) => built(policy(`action: DENY, rules: [{${rule}}]`));
    const dead = (rule: string) =>
      [...made(rule).policies.values()][0]?.rules[0]?.some((clause) => clause.every(isEmptyMatch));
    expect(http.map(dead)).toEqual([true, false, true, false, false, true, true]);
    // A namespace beside it does not save a rule whose other clause holds nothing any more.
    expect(dead('from: [{source: {namespaces: [a]}}], to: [{operation: {methods: [POST]}}]')).toBe(true);
    const warning = (rule: string) => lines(made(rule).report.warnings)[0]?.replace(/^.*spec\.rules\[0\]: /, '');
    expect(warning(http[0] as string)).toBe(
      'NEVER DENIES ANYTHING: it rests on HTTP attributes, which only waypoints check: methods',
    );
    expect(warning(http[1] as string)).toBe(
      'denies without regard to its HTTP attributes; only waypoints check them: notPaths',
    );
    expect(warning('to: [{operation: {ports: ["80"]}}, {operation: {methods: [GET]}}]')).toBe(
      'denies without regard to its HTTP attributes, and what rests on them alone never denies; only waypoints check them: methods',
    );
    expect(
      built(policy('action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]')).policies.get('shop/p'),
    ).toEqual({
      ...{ name: 'p', namespace: 'shop', scope: 'namespace', action: 'deny', dryRun: false },
      rules: [[[emptyMatch]]],
    });
  });
});

test('faults', () => {
  expect(
    says(`
      apiVersion: security.istio.io/v1
      kind: AuthorizationPolicy
      metadata: {name: p, annotations: {istio.io/dry-run: maybe}}
      spec:
        action: DENNY
        selector: {matchLabels: {app: "a*", b: 1}}
        rules:
        - from:
          - source: {principal: [a], namespaces: [""]}
          - source: {ipBlocks: [10.0.0.0/33, x], serviceAccounts: [a/b/c, "a*", /x]}
          - {}
        - to: []
        - to: [{operation: {ports: ["80-90", 443, "65536"]}}]
        - when: [{values: [a]}]
        - 
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:5:11: AuthorizationPolicy default/p: spec.action: must be one of ALLOW, DENY, AUDIT, CUSTOM, not "DENNY"
    a.yaml:6:33: AuthorizationPolicy default/p: spec.selector.matchLabels.app: must be a label without a wildcard, not "a*"
    a.yaml:6:42: AuthorizationPolicy default/p: spec.selector.matchLabels.b: must be text, not the number 1 (put it in quotes)
    a.yaml:9:16: AuthorizationPolicy default/p: spec.rules[0].from[0].source.principal: is no field that is known here; did you mean principals?
    a.yaml:9:45: AuthorizationPolicy default/p: spec.rules[0].from[0].source.namespaces[0]: must be text of 1 to 2048 characters, not ""
    a.yaml:10:27: AuthorizationPolicy default/p: spec.rules[0].from[1].source.ipBlocks[0]: must be an address or a range such as 10.1.0.0/16, not "10.0.0.0/33"
    a.yaml:10:40: AuthorizationPolicy default/p: spec.rules[0].from[1].source.ipBlocks[1]: must be an address or a range such as 10.1.0.0/16, not "x"
    a.yaml:10:62: AuthorizationPolicy default/p: spec.rules[0].from[1].source.serviceAccounts[0]: must be a service account: NAME or NAMESPACE/NAME, without wildcards, not "a/b/c"
    a.yaml:10:69: AuthorizationPolicy default/p: spec.rules[0].from[1].source.serviceAccounts[1]: must be a service account: NAME or NAMESPACE/NAME, without wildcards, not "a*"
    a.yaml:10:75: AuthorizationPolicy default/p: spec.rules[0].from[1].source.serviceAccounts[2]: must be a service account: NAME or NAMESPACE/NAME, without wildcards, not "/x"
    a.yaml:11:7: AuthorizationPolicy default/p: spec.rules[0].from[2].source: is missing
    a.yaml:12:9: AuthorizationPolicy default/p: spec.rules[1].to: must not be empty
    a.yaml:13:31: AuthorizationPolicy default/p: spec.rules[2].to[0].operation.ports[0]: must be a port from 0 to 65535, in quotes, not "80-90"
    a.yaml:13:40: AuthorizationPolicy default/p: spec.rules[2].to[0].operation.ports[1]: must be a port from 0 to 65535, in quotes, not the number 443
    a.yaml:13:45: AuthorizationPolicy default/p: spec.rules[2].to[0].operation.ports[2]: must be a port from 0 to 65535, in quotes, not "65536"
    a.yaml:14:12: AuthorizationPolicy default/p: spec.rules[3].when[0].key: is missing
    a.yaml:15:5: AuthorizationPolicy default/p: spec.rules[4]: must be a mapping, not nothing"
  `);
  expect(
    says(`
      apiVersion: security.istio.io/v1
      kind: AuthorizationPolicy
      metadata: {name: p, annotations: {istio.io/dry-run: maybe}}
      spec:
        action: DENY
        targetRefs: [{kind: Service, name: a}]
        selector: {matchLabels: {"*": a, "": b}}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:7:13: AuthorizationPolicy default/p: spec.selector: cannot stand beside targetRefs
    a.yaml:7:27: AuthorizationPolicy default/p: spec.selector.matchLabels: must not have an empty key
    a.yaml:7:27: AuthorizationPolicy default/p: spec.selector.matchLabels: must not have a wildcard in a key
    a.yaml:3:53: AuthorizationPolicy default/p: metadata.annotations["istio.io/dry-run"]: must be true or false, not "maybe""
  `);
  expect(
    says(`
      apiVersion: security.istio.io/v1
      kind: AuthorizationPolicy
      metadata: {name: p}
      spec:
        action: DENY
        rules:
        - from: [{source: {}}, {source: {serviceAccounts: [a], namespaces: [b]}}]
          to: [{operation: {ports: []}}]
        - when:
          - {key: source.port, values: [a]}
          - {key: source.ip}
          - {key: source.ip, values: [a], notValues: [10.0.0.1/a]}
          - {key: destination.port, values: [http]}
          - {key: source.serviceAccount, values: [a/b/c]}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:8:22: AuthorizationPolicy default/p: spec.rules[0].to[0].operation: must not be empty
    a.yaml:7:21: AuthorizationPolicy default/p: spec.rules[0].from[0].source: must not be empty
    a.yaml:7:53: AuthorizationPolicy default/p: spec.rules[0].from[1].source.serviceAccounts: cannot stand beside namespaces or principals
    a.yaml:10:13: AuthorizationPolicy default/p: spec.rules[1].when[0].key: is no attribute that is known: "source.port"
    a.yaml:11:7: AuthorizationPolicy default/p: spec.rules[1].when[1]: must have values or notValues
    a.yaml:12:33: AuthorizationPolicy default/p: spec.rules[1].when[2].values[0]: must be an address or a range such as 10.1.0.0/16, not "a"
    a.yaml:12:49: AuthorizationPolicy default/p: spec.rules[1].when[2].notValues[0]: must be an address or a range such as 10.1.0.0/16, not "10.0.0.1/a"
    a.yaml:13:40: AuthorizationPolicy default/p: spec.rules[1].when[3].values[0]: must be a port from 0 to 65535, not "http"
    a.yaml:14:45: AuthorizationPolicy default/p: spec.rules[1].when[4].values[0]: must be a service account: NAME or NAMESPACE/NAME, without wildcards, not "a/b/c""
  `);
  expect(says(policy('action: DENY'))).toMatchInlineSnapshot(
    `"warning a.yaml:4:7: AuthorizationPolicy shop/p: spec.rules: are empty: the policy never denies anything ("rules: [{}]" denies everything)"`,
  );
  expect(says(policy('selector: {matchLabels: {}}'))).toMatchInlineSnapshot(
    `"warning a.yaml:4:18: AuthorizationPolicy shop/p: spec.selector: names no label: the policy holds as if it had no selector"`,
  );
  expect(says(policy('selector: {app: a}'))).toMatchInlineSnapshot(
    `"a.yaml:4:19: AuthorizationPolicy shop/p: spec.selector.app: is no field that is known here"`,
  );
  expect(says(policy('', '', 'v1alpha1'))).toMatchInlineSnapshot(
    `"a.yaml:1:13: AuthorizationPolicy shop/p: apiVersion: "security.istio.io/v1alpha1" is a version of AuthorizationPolicy that is not read"`,
  );
});
