// SPDX-License-Identifier: Apache-2.0
// PeerAuthentication documents: the DENY policies they become, and which of them a workload names.
import { expect, test } from 'vitest';
import { built, lines, says } from './texts.ts';

let created = 0;
const peer = (
  namespace: string,
  spec: string,
  name = `p${created}`,
  at = `2024-01-01T00:00:${String(++created).padStart(2, '0')}Z`,
) => `
  apiVersion: security.istio.io/v1
  kind: PeerAuthentication
  metadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${at}"}
  spec: {${spec}}
`;
const pod = (namespace = 'shop') => `
  apiVersion: v1
  kind: Pod
  metadata: {name: a, namespace: ${namespace}, labels: {app: a}}
  spec: {nodeName: n}
  status: {podIP: 10.2.0.1, phase: Running}
`;
const strict = 'istio-system/istio_converted_static_strict';
const own = 'shop/converted_peer_authentication_own';

/** What the pod names, and the rules of its own policy: each clause as its text. */
function of(texts: readonly string[], namespace = 'shop') {
  const { policies, workloads, report } = built(pod(namespace), ...texts);
  expect(lines(report.faults)).toEqual([]);
  const names = [...workloads.values()][0]?.authorizationPolicies;
  const rules = policies
    .get(own)
    ?.rules.map((rule) =>
      rule.map((clause) =>
        clause
          .map((m) => [
            ...m.notPrincipals.map(() => 'anonymous'),
            ...m.destinationPorts.map((p) => `port ${p}`),
            ...m.notDestinationPorts.map((p) => `not port ${p}`),
          ])
          .join(' or '),
      ),
    );
  return { names, rules };
}

const selector = 'selector: {matchLabels: {app: a}}';
const mesh = (mode: string) => peer('istio-system', `mtls: {mode: ${mode}}`);
const space = (mode: string) => peer('shop', `mtls: {mode: ${mode}}`);
const workload = (spec: string) => peer('shop', `${selector}, ${spec}`, 'own');

test('modes: the workload before the namespace before the mesh; UNSET inherits', () => {
  const names = (...texts: string[]) => of(texts).names;
  expect(names()).toEqual([]);
  expect(names(mesh('STRICT'))).toEqual([strict]);
  expect(names(mesh('PERMISSIVE'))).toEqual([]);
  expect(names(mesh('STRICT'), space('UNSET'))).toEqual([strict]);
  expect(names(mesh('STRICT'), space('PERMISSIVE'))).toEqual([]);
  expect(names(mesh('STRICT'), space('DISABLE'))).toEqual([]);
  expect(names(mesh('PERMISSIVE'), space('STRICT'))).toEqual([strict]);
  expect(names(space('STRICT'), workload('mtls: {mode: PERMISSIVE}'))).toEqual([]);
  expect(names(space('STRICT'), workload('mtls: {mode: DISABLE}'))).toEqual([]);
  expect(names(space('STRICT'), workload('mtls: {}'))).toEqual([strict]);
  expect(names(workload('mtls: {mode: STRICT}'))).toEqual([strict]);
  expect(names(peer('shop', 'selector: {matchLabels: {app: b}}, mtls: {mode: STRICT}'))).toEqual([]);
  expect(names(peer('other', 'mtls: {mode: STRICT}'))).toEqual([]);
  // One with a selector in the root namespace holds nowhere.
  expect(names(peer('istio-system', `${selector}, mtls: {mode: STRICT}`))).toEqual([]);
});

test('the oldest of several counts', () => {
  const old = peer('shop', 'mtls: {mode: STRICT}', 'old', '2023-01-01T00:00:00Z');
  expect(of([space('PERMISSIVE'), old]).names).toEqual([strict]);
  expect(of([space('PERMISSIVE'), space('STRICT')]).names).toEqual([]);
});

test('the static policy is there as soon as any object is', () => {
  expect(built(mesh('PERMISSIVE')).policies.get(strict)).toMatchObject({
    scope: 'selector',
    action: 'deny',
    rules: [[[{ notPrincipals: [{ kind: 'presence' }] }]]],
  });
  expect(built(pod()).policies.size).toBe(0);
});

test('modes by port', () => {
  const ports = (mode: string, more: string) => workload(`mtls: {mode: ${mode}}, portLevelMtls: {${more}}`);
  const permissive = '80: {mode: PERMISSIVE}';
  const disabled = '80: {mode: DISABLE}';
  const strictPort = '443: {mode: STRICT}';
  // Own mode STRICT: the exception stands in the same rule.
  expect(of([ports('STRICT', `${permissive}, 81: {mode: DISABLE}, ${strictPort}`)])).toEqual({
    names: [own],
    rules: [['anonymous', 'not port 80', 'not port 81']],
  });
  expect(of([ports('STRICT', strictPort)])).toEqual({ names: [strict], rules: undefined });
  expect(of([ports('STRICT', '80: {}')])).toEqual({ names: [strict], rules: undefined });
  // Own mode open: only the ports that are STRICT.
  for (const mode of ['PERMISSIVE', 'DISABLE']) {
    expect(of([mesh('STRICT'), ports(mode, `${strictPort}, ${permissive}, 8443: {mode: STRICT}`)])).toEqual({
      names: [own],
      rules: [['anonymous,port 443'], ['anonymous,port 8443']],
    });
    expect(of([ports(mode, permissive)])).toEqual({ names: [], rules: undefined });
  }
  // Own mode unset: what is inherited decides.
  expect(of([ports('UNSET', strictPort)])).toEqual({ names: [own], rules: [['anonymous,port 443']] });
  expect(of([ports('UNSET', permissive)])).toEqual({ names: [], rules: undefined });
  expect(of([space('PERMISSIVE'), mesh('STRICT'), ports('UNSET', strictPort)]).names).toEqual([own]);
  const inherited = { names: [own], rules: [['not port 80', 'anonymous']] };
  expect(of([mesh('STRICT'), ports('UNSET', `${permissive}, ${strictPort}`)])).toEqual(inherited);
  expect(of([space('STRICT'), ports('UNSET', permissive)])).toEqual(inherited);
  expect(of([mesh('STRICT'), space('UNSET'), ports('UNSET', permissive)])).toEqual(inherited);
  expect(of([mesh('STRICT'), ports('UNSET', strictPort)])).toEqual({ names: [strict], rules: undefined });
  expect(of([mesh('STRICT'), ports('UNSET', disabled)]).names).toEqual([strict]);
});

test('a workload of the root namespace follows what holds for the mesh', () => {
  expect(of([mesh('STRICT')], 'istio-system').names).toEqual([strict]);
  expect(of([space('STRICT')], 'istio-system').names).toEqual([]);
});

test('one that is refused closes what it may hold for, and keeps no other out', () => {
  const bad = peer('shop', `${selector}, mtls: {mode: STRIKT}`, 'own');
  const { policies, workloads } = built(pod(), bad, mesh('STRICT'));
  expect(policies.get(own)).toMatchObject({ scope: 'selector', rules: [[]], fault: { kind: 'refused' } });
  expect([...workloads.values()][0]?.authorizationPolicies).toEqual([own, strict].sort());
  const wide = built(peer('shop', 'mtls: 3', 'own')).policies;
  expect([...wide.keys()]).toEqual([own]);
  expect(wide.get(own)).toMatchObject({ scope: 'namespace', rules: [[]] });
  expect([...built(peer('istio-system', 'mtls: 3')).policies.values()][0]).toMatchObject({ scope: 'global' });
});

test('faults', () => {
  expect(
    says(`
      apiVersion: security.istio.io/v1
      kind: PeerAuthentication
      metadata: {name: p}
      spec:
        mtls: {mode: SRTICT, x: 1}
        portLevelMtls: {80: {mode: STRICT}, http: {mode: STRICT}, 0: {mode: ON}}
        ports: {}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:5:16: PeerAuthentication default/p: spec.mtls.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT, not "SRTICT"
    a.yaml:5:24: PeerAuthentication default/p: spec.mtls.x: is no field that is known here
    a.yaml:6:71: PeerAuthentication default/p: spec.portLevelMtls.0.mode: must be one of UNSET, DISABLE, PERMISSIVE, STRICT, not "ON"
    a.yaml:7:3: PeerAuthentication default/p: spec.ports: is no field that is known here"
  `);
  expect(
    says(`
      apiVersion: security.istio.io/v1
      kind: PeerAuthentication
      metadata: {name: p}
      spec: {portLevelMtls: {80: {mode: STRICT}, http: {mode: STRICT}, 65536: {}}}
    `),
  ).toMatchInlineSnapshot(`
    "a.yaml:4:73: PeerAuthentication default/p: spec.portLevelMtls.65536: must be a port from 1 to 65535
    a.yaml:4:50: PeerAuthentication default/p: spec.portLevelMtls.http: must be a port from 1 to 65535
    a.yaml:4:23: PeerAuthentication default/p: spec.portLevelMtls: needs a selector"
  `);
  expect(says(peer('shop', `${selector}, portLevelMtls: {}`, 'own'))).toMatchInlineSnapshot(
    `"a.yaml:4:58: PeerAuthentication shop/own: spec.portLevelMtls: must not be empty"`,
  );
});
