// SPDX-License-Identifier: Apache-2.0
// AuthorizationPolicy documents that are refused: what is in force meanwhile.
import { describe, expect, test } from 'vitest';
import { openBuilder } from '../../../src/source/file/build/builder.ts';
import { openFolder } from '../../../src/source/file/folder.ts';
import { readFileText } from '../../../src/source/file/read.ts';
import { dedent, lines, pod, policy } from './texts.ts';

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

  test('closes under another name when nothing may have its own, and until that is put right', () => {
    const { take, builder, folder } = open();
    for (const [name, label] of ['Deny_All', `"${'x'.repeat(5000)}"`, '"a/b"', '"\\u0000"'].entries()) {
      take(policy('action: DENY, rules: [{}]').replace('name: p', `name: ${label}`));
      const [key = '', one] = [...builder.policies][0] ?? [];
      expect([name, key]).toEqual([name, expect.stringMatching(/^shop\/refused-[0-9a-f]{1,8}$/)]);
      expect(one).toMatchObject({ scope: 'namespace', ...closed });
      expect(builder.policies.size).toBe(1);
      expect(lines(folder.report([]).faults)).toEqual([
        expect.stringMatching(/metadata\.name: .*all that it may hold for is closed/),
      ]);
    }
    take(policy('action: DENY, rules: [{}]'));
    expect([...builder.policies.keys()]).toEqual(['shop/p']);
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

  test('closes at its targets, by their kinds and names, what waypoints serve', () => {
    const { take, builder, folder } = open();
    const closes = (spec: string, meta = '') => {
      take(policy(`${spec}, rules: 3`, meta));
      const [aimed] = [...builder.routes.values()];
      expect([aimed === undefined, builder.policies.size]).toEqual(aimed ? [false, 0] : [true, 1]);
      return aimed?.kind === 'AuthorizationPolicy' ? aimed.targets : undefined;
    };
    const cart = { group: '', kind: 'Service', name: 'cart' };
    expect(closes('targetRefs: [{kind: Service, name: cart}]')).toEqual([cart]);
    expect(closes('targetRefs: {kind: Service, name: cart}')).toEqual([cart]);
    expect(closes('targetRef: {group: core, kind: Service, name: cart}')).toEqual([cart]);
    expect(closes('targetRefs: [], targetRef: {group: 7, kind: Service, name: cart}')).toEqual([cart]);
    expect(closes('targetRefs: [{kind: Gateway, name: way}]')).toMatchObject([{ group: 'gateway.networking.k8s.io' }]);
    const faults = () => lines(folder.report([]).faults);
    expect(faults()).toEqual([expect.stringContaining('(all that it may hold for is closed)')]);
    // Nothing has these.
    expect(closes('targetRefs: [{}]')).toEqual([{ group: '', kind: '', name: '' }]);
    expect(faults()).toEqual([
      expect.stringMatching(
        /^a\.yaml:4:21: .* spec\.targetRefs\[0\]\.kind: .*\(NOTHING IS CLOSED: no target of it can be read\)$/,
      ),
      expect.stringMatching(/^a\.yaml:4:21: .* spec\.targetRefs\[0\]\.name: .*NOTHING IS CLOSED/),
      expect.stringMatching(/^a\.yaml:4:\d+: .* spec\.rules: .*NOTHING IS CLOSED/),
    ]);
    expect(closes('targetRefs: [{}, {kind: Service, name: cart}]')).toHaveLength(2);
    expect(faults()).toEqual(Array(3).fill(expect.stringContaining('(all that it may hold for is closed)')));
    expect(closes('targetRefs: [{kind: constructor, name: cart}, {kind: Service, name: 7}]')).toEqual([
      { group: '', kind: 'constructor', name: 'cart' },
      { group: '', kind: 'Service', name: '' },
    ]);
    // Not the waypoints of others.
    expect(closes('targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: way}]')).toEqual([
      { group: '', kind: 'GatewayClass', name: 'way' },
    ]);
    // Aimed at nothing: as if there were no targets.
    expect(closes('targetRefs: []')).toBeUndefined();
    expect(closes('targetRefs: null')).toBeUndefined();
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
