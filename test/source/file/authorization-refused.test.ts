// SPDX-License-Identifier: Apache-2.0
// AuthorizationPolicy documents that are refused: what is in force meanwhile.
import { describe, expect, test } from 'vitest';
import { openBuilder } from '../../../src/source/file/build/builder.ts';
import { openFolder } from '../../../src/source/file/folder.ts';
import { readFileText } from '../../../src/source/file/read.ts';
import { dedent, lines } from './texts.ts';

const policy = (spec: string, meta = '', version = 'v1') => `
  apiVersion: security.istio.io/${version}
  kind: AuthorizationPolicy
  metadata: {name: p, namespace: shop${meta}}
  spec: {${spec}}
`;
const pod = (name: string, labels: string, namespace = 'shop') => `
  apiVersion: v1
  kind: Pod
  metadata: {name: ${name}, namespace: ${namespace}, labels: {${labels}}}
  spec: {nodeName: n}
  status: {podIP: 10.2.0.1, phase: Running}
`;

describe('a document that is refused', () => {
  const open = () => {
    const folder = openFolder();
    const builder = openBuilder();
    folder.order(['a.yaml', 'b.yaml']);
    return {
      folder,
      builder,
      take: (text: string | undefined, file = 'a.yaml') =>
        builder.update(folder.update([[file, text === undefined ? undefined : readFileText(file, dedent(text))]])),
    };
  };
  const refused = { kind: 'refused', reason: 'its document is refused, and no good version of it is known' };
  const closed = { action: 'deny', rules: [[]], dryRun: false, fault: refused };

  test('closes what it may hold for when no good version of it is known', () => {
    const { take, builder, folder } = open();
    take(policy('action: NO'));
    expect(builder.policies.get('shop/p')).toEqual({ name: 'p', namespace: 'shop', scope: 'namespace', ...closed });
    expect(lines(folder.report([]).faults)).toEqual([
      'a.yaml:4:16: AuthorizationPolicy shop/p: spec.action: must be one of ALLOW, DENY, AUDIT, CUSTOM, not "NO" (all that it may hold for is closed)',
    ]);
    // Its selector counts as far as it can be read.
    take(`${policy('action: NO, selector: {matchLabels: {app: a}}')}  ---${pod('a', 'app: a')}`);
    expect(builder.policies.get('shop/p')).toMatchObject({ scope: 'selector', ...closed });
    expect([...builder.workloads.values()][0]?.authorizationPolicies).toEqual(['shop/p']);
    take(policy('action: NO, selector: {matchLabels: {app: 1}}'));
    expect(builder.policies.get('shop/p')).toMatchObject({ scope: 'namespace', ...closed });
    take(policy('', '', 'v1alpha1'));
    expect(builder.policies.get('shop/p')).toMatchObject({ scope: 'namespace', ...closed });
    take(policy('action: DENY, rules: [{}]'));
    expect(builder.policies.get('shop/p')?.fault).toBeUndefined();
    take(undefined);
    expect(builder.policies.size).toBe(0);
  });

  test('but not what a waypoint or a dry run would not have closed', () => {
    const { take, builder } = open();
    take(policy('action: CUSTOM, x: {}, rules: 3'));
    expect(builder.policies.size).toBe(0);
    take(policy('targetRefs: [{}], rules: 3'));
    expect(builder.policies.size).toBe(0);
    take(policy('rules: 3', ', annotations: {istio.io/dry-run: "true"}'));
    expect(builder.policies.size).toBe(0);
    take(policy('rules: 3').replace('security.istio.io', 'example.com'));
    expect(builder.policies.size).toBe(0);
  });

  test('leaves the last good version in force, marked', () => {
    const { take, builder, folder } = open();
    take(policy('rules: [{}]'));
    const changes = take(policy('rules: 3'));
    const stale = { kind: 'stale', reason: 'a later version of its document is refused' };
    expect(changes).toEqual([{ kind: 'put-policy', policy: builder.policies.get('shop/p') }]);
    expect(builder.policies.get('shop/p')).toMatchObject({ action: 'allow', rules: [[]], fault: stale });
    expect(lines(folder.report([]).faults)[0]).toContain('(the version read before stays)');
    expect(take(policy('rules: 4'))).toEqual([]);
    take(policy('rules: [{}]'));
    expect(builder.policies.get('shop/p')?.fault).toBeUndefined();
  });

  test('a good version in another file counts', () => {
    const { take, builder } = open();
    take(policy('rules: [{}]'), 'b.yaml');
    take(policy('rules: 3'));
    expect(builder.policies.get('shop/p')).toMatchObject({ action: 'allow' });
  });
});
