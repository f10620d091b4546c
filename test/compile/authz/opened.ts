// SPDX-License-Identifier: Apache-2.0
// A model that changes step by step, and what is compiled of it while every workload is a judged pod.
import fc from 'fast-check';
import { type AuthzIndex, type AuthzInput, compilingAuthz, noAuthz } from '../../../src/compile/authz/compile.ts';
import type { EnforcedPod, Enforcement } from '../../../src/compile/authz/enforcement.ts';
import { type AuthzOptions, defaultAuthzOptions } from '../../../src/compile/authz/holding.ts';
import { judge } from '../../../src/compile/authz/judge.ts';
import { identityAt as ownerIdentity } from '../../../src/compile/authz/sources.ts';
import { apply, emptyModel } from '../../../src/mesh/apply.ts';
import type { Change, Model } from '../../../src/mesh/model.ts';
import { emptyMatch, type Policy, type Rule } from '../../../src/mesh/policy.ts';
import { finish } from '../../../src/mesh/steps.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { view, workload } from '../../mesh/make.ts';
import { policy as anyPolicy } from '../../support/authz-arbitrary.ts';

export const put = (of: Workload): Change => ({ kind: 'put-workload', workload: of });
export const rule = (of: Policy): Change => ({ kind: 'put-policy', policy: of });
export const local = (uid: string, address: string, fields: Partial<Workload> = {}) =>
  workload(uid, { node: view.node, addresses: [address], services: new Map(), ...fields });
export const port = (...destinationPorts: number[]): Rule => [[{ ...emptyMatch, destinationPorts }]];
export const make = (key: string, fields: Partial<Policy> = {}): Policy => {
  const [namespace = '', name = ''] = key.split('/');
  return { name, namespace, scope: 'namespace', action: 'deny', rules: [port(81)], dryRun: false, ...fields };
};

export const pod = (workload: string, netns: number, addresses: string[] = []): EnforcedPod => ({
  ...{ workload, netns, addresses },
  ...{ hostNetns: 1, ifindex: netns },
});
/** Every workload is a pod here. */
export function everyPod(model: Model, hosts: readonly string[] = []): Enforcement {
  const pods = [...model.workloads.values()].map((w) => pod(`${w.namespace}/${w.name}`, w.uid.charCodeAt(0)));
  return { pods: [...pods, pod('no/body', 1)], hosts: new Set(hosts) };
}
export const identityAt = (index: AuthzIndex, address: string) => ownerIdentity(index.sources, address);

export function whole(
  model: Model,
  options: AuthzOptions = defaultAuthzOptions,
  enforcement = everyPod(model),
): AuthzIndex {
  return finish(compilingAuthz(noAuthz, { model, view, enforcement, options }, 'everything')).index;
}

/** A model that changes step by step, and what is compiled of it. */
export function open(...changes: Change[]) {
  let model = emptyModel;
  let index = noAuthz;
  let input: Partial<AuthzInput> = {};
  const step = (...more: Change[]) => {
    const next = apply(model, more);
    model = next.model;
    const now = { model, view, enforcement: everyPod(model), options: defaultAuthzOptions, ...input };
    const out = finish(compilingAuthz(index, now, next.touched));
    index = out.index;
    return out.delta;
  };
  step(...changes);
  const set = (fields: Partial<AuthzInput>) => {
    input = { ...input, ...fields };
    return step();
  };
  return { step, set, index: () => index, model: () => model };
}

export const ask = (index: AuthzIndex, to: string, from: string, portNumber: number) => {
  const destination = index.destinations.get(to);
  if (destination === undefined) return undefined;
  return judge(destination.stack, { identity: identityAt(index, from), source: from, port: portNumber });
};

export const asksWho = rule(make('shop/who', { rules: [[[{ ...emptyMatch, namespaces: [{ kind: 'presence' }] }]]] }));

const uid = fc.constantFrom('a', 'b', 'c//Pod/x/c');
/** Changes of a few workloads and policies that meet often. */
export const anyChange: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: anyPolicy.map(rule) },
  {
    weight: 3,
    arbitrary: fc
      .record({
        uid,
        addresses: fc.uniqueArray(fc.constantFrom('10.0.0.1', '10.0.0.2', '2001:db8::1'), { maxLength: 2 }),
        namespace: fc.constantFrom('a', 'b'),
        serviceAccount: fc.constantFrom('', 'cart'),
        node: fc.constantFrom('n1', 'n1', 'n2'),
        hostNetwork: fc.constantFrom(false, false, false, true),
        network: fc.constantFrom('', '', 'other'),
        authorizationPolicies: fc.subarray(['a/p', 'root/p', 'b/q', 'x/y']),
      })
      .map(({ uid: name, ...fields }) => put(workload(name, { services: new Map(), ...fields }))),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('remove-policy' as const), key: fc.constantFrom('a/p', 'root/p') }),
  },
  { weight: 1, arbitrary: uid.map((of): Change => ({ kind: 'remove-workload', uid: of })) },
);
