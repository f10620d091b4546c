// SPDX-License-Identifier: Apache-2.0
// AuthorizationPolicy: its whole layer 4 part, and all of one that is aimed at services or gateways, for waypoints. Of others, what only
// something that reads HTTP can check is taken as istiod takes it, and said.
import { isEmptyMatch, type Rule } from '../../../mesh/policy.ts';
import type { WaypointPolicy } from '../../../mesh/waypoint-policy.ts';
import { object, oneOf, silentFields, strict } from '../fields.ts';
import { base, defineKind, type Meta } from '../kind.ts';
import type { AuthorizationPolicyObject } from '../objects.ts';
import type { Reading } from '../reading.ts';
import { convertHttpRule } from './http-rules.ts';
import { convertRule, rules } from './rules.ts';
import { selectedBy, selector, targets, targetsOf } from './selector.ts';

const shape = {
  spec: object(
    {
      selector,
      ...targets,
      action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
      rules,
      ...silentFields('provider'),
    },
    strict,
  ),
  ...silentFields('status'),
};

export const dryRunAnnotation = 'istio.io/dry-run';

export const authorizationPolicyKind = defineKind({
  kind: 'AuthorizationPolicy',
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  namespaced: true,
  shape,
  make(raw, meta, reading): AuthorizationPolicyObject {
    const { spec } = raw;
    const action = spec?.action ?? 'ALLOW';
    const aimed = spec?.targetRef !== undefined || (spec?.targetRefs?.length ?? 0) > 0;
    if (aimed && spec?.selector !== undefined) reading.faultAt(['spec', 'selector'], 'cannot stand beside targetRefs');
    const policy = {
      kind: 'AuthorizationPolicy',
      ...base(meta),
      ...selectedBy(spec?.selector, reading),
      dryRun: dryRunOf(meta, reading),
    } as const;
    if (action === 'AUDIT' || action === 'CUSTOM') {
      reading.warnAt(['spec', 'action'], `${action} is not supported: the policy has no effect here`);
      return { ...policy, action: 'none', rules: [] };
    }
    const list = spec?.rules ?? [];
    if (aimed) {
      const { namespace, name, dryRun } = policy;
      const targets = targetsOf(
        spec?.targetRefs?.length ? spec.targetRefs : [spec?.targetRef ?? []].flat(),
        meta,
        reading,
      );
      const rules = list.map((one, i) => convertHttpRule(one, ['spec', 'rules', i], meta.namespace, reading));
      const whole: WaypointPolicy = {
        kind: 'AuthorizationPolicy',
        namespace,
        name,
        targets,
        action: action === 'ALLOW' ? 'allow' : 'deny',
        rules,
        dryRun,
      };
      return { ...policy, action: 'none', rules: [], aimed: whole };
    }
    if (action === 'DENY' && list.length === 0) {
      reading.warnAt(
        ['spec', 'rules'],
        'are empty: the policy never denies anything ("rules: [{}]" denies everything)',
      );
    }
    const converted: Rule[] = [];
    const written: number[] = [];
    list.forEach((one, i) => {
      const path = ['spec', 'rules', i];
      const { rule, http } = convertRule(one, path, meta.namespace, reading);
      if (http.length === 0 || action === 'DENY') {
        converted.push(rule);
        written.push(i);
      }
      if (http.length === 0) return;
      if (action === 'ALLOW') {
        reading.warnAt(
          path,
          `is left out, as it holds HTTP attributes, which only waypoints check: ${http.join(', ')}`,
        );
      } else reading.warnAt(path, denyWithHttp(rule, http));
    });
    return {
      ...policy,
      action: action === 'ALLOW' ? 'allow' : 'deny',
      rules: converted,
      ...(written.length < list.length && { written }),
    };
  },
});

/** What becomes of a DENY rule without its HTTP attributes: broader where something else is left, dead where nothing is. */
function denyWithHttp(rule: Rule, http: readonly string[]): string {
  const names = http.join(', ');
  const dead = rule.some((clause) => clause.length > 0 && clause.every(isEmptyMatch));
  if (dead) return `NEVER DENIES ANYTHING: it rests on HTTP attributes, which only waypoints check: ${names}`;
  const part = rule.some((clause) => clause.some(isEmptyMatch)) ? ', and what rests on them alone never denies' : '';
  return `denies without regard to its HTTP attributes${part}; only waypoints check them: ${names}`;
}

const words: Readonly<Record<string, boolean>> = Object.fromEntries([
  ...['', '0', 'f', 'F', 'false', 'False', 'FALSE'].map((word) => [word, false]),
  ...['1', 't', 'T', 'true', 'True', 'TRUE'].map((word) => [word, true]),
]);

function dryRunOf(meta: Meta, reading: Reading): boolean {
  const value = meta.annotations[dryRunAnnotation] ?? '';
  const dryRun = words[value];
  if (dryRun !== undefined) return dryRun;
  reading.faultAt(['metadata', 'annotations', dryRunAnnotation], `must be true or false, not ${JSON.stringify(value)}`);
  return false;
}
