// SPDX-License-Identifier: Apache-2.0
// Which DestinationRule holds for a service: its namespace's before the root namespace's, exact hosts before wildcards, the oldest of equals.
import type { Finding } from '../../findings.ts';
import { rootNamespace } from '../names.ts';
import type { DestinationRuleObject } from '../objects.ts';
import { identityOf } from '../objects.ts';
import { older } from './owners.ts';

export interface RuleBook {
  put(rule: DestinationRuleObject): void;
  remove(rule: DestinationRuleObject): void;
  /** The rule for a service of `namespace`, as it holds for clients of that namespace. */
  find(hostname: string, namespace: string): DestinationRuleObject | undefined;
  /** Rules that another one of the same namespace and host keeps out. */
  warnings(): Finding[];
}

export function openRuleBook(): RuleBook {
  /** "namespace/host" -> rules, oldest first. */
  const rules = new Map<string, DestinationRuleObject[]>();
  const keyOf = (rule: DestinationRuleObject) => `${rule.namespace}/${rule.host}`;
  const holds = (rule: DestinationRuleObject, namespace: string) =>
    rule.exportTo.length === 0 || rule.exportTo.includes(namespace);
  return {
    put(rule) {
      const same = rules.get(keyOf(rule)) ?? [];
      rules.set(keyOf(rule), [...same, rule].sort(older));
    },
    remove(rule) {
      const left = (rules.get(keyOf(rule)) ?? []).filter((r) => r !== rule);
      if (left.length > 0) rules.set(keyOf(rule), left);
      else rules.delete(keyOf(rule));
    },
    find(hostname, namespace) {
      for (const owner of new Set([namespace, rootNamespace])) {
        for (const pattern of patternsOf(hostname)) {
          const found = rules.get(`${owner}/${pattern}`)?.find((rule) => holds(rule, namespace));
          if (found) return found;
        }
      }
      return undefined;
    },
    warnings() {
      const out: Finding[] = [];
      for (const [first, ...others] of rules.values()) {
        for (const rule of others) {
          const reason = `${JSON.stringify(rule.host)} is ruled by ${(first as DestinationRuleObject).name}, which comes first`;
          out.push({ ...rule.place, resource: identityOf(rule), field: 'spec.host', reason });
        }
      }
      return out;
    },
  };
}

/** The host itself, then the wildcards that cover it, longest first. */
function* patternsOf(hostname: string): Generator<string> {
  yield hostname;
  for (let dot = hostname.indexOf('.'); dot !== -1; dot = hostname.indexOf('.', dot + 1)) {
    yield `*${hostname.slice(dot)}`;
  }
  yield '*';
}

/** True when a rule for `pattern` could hold for `hostname`. */
export function covers(pattern: string, hostname: string): boolean {
  if (pattern === '*' || pattern === hostname) return true;
  return pattern.startsWith('*.') && hostname.endsWith(pattern.slice(1));
}
