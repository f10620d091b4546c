// SPDX-License-Identifier: Apache-2.0
// What is wrong with policies that is wrong with none of their fields: they hold for nobody, decide nothing, or name what is not there.
import { deadRules, type Holding } from '../../compile/authz/holding.ts';
import { attachRoutes } from '../../compile/l7/attach.ts';
import { policyStatuses } from '../../compile/l7/policy-status.ts';
import { type Conjunction, conjunctionsOf } from '../../mesh/conjunction.ts';
import { identityOf, principalOf } from '../../mesh/identity.ts';
import { type Policy, policyKey, ruleNumber } from '../../mesh/policy.ts';
import type { FileMesh, PolicyDocument } from '../../source/file/mesh-files.ts';
import { rootNamespace, selects } from '../../source/file/names.ts';
import { identityOf as resourceOf } from '../../source/file/objects.ts';
import type { Finding } from '../../source/findings.ts';
import { aimedAtNobody } from '../waypoint/lint.ts';
import { coverCost, covers } from './cover.ts';

/** Dry runs that are older have been forgotten by whoever began them. */
const dryRunDays = 30;
const dayMs = 86_400_000;

/** Values compared after which no more are: lists of thousands of addresses are not told apart. */
const maxComparisons = 5_000_000;

type Say = (document: PolicyDocument, field: string, reason: string) => void;

export interface Lints {
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** @param holding of the mesh's policies, as they are enforced */
export function lintPolicies(mesh: FileMesh, holding: Holding, nowMs: number): Lints {
  const faults: Finding[] = [];
  const warnings: Finding[] = [];
  const into =
    (list: Finding[]): Say =>
    (document, field, reason) =>
      list.push({ ...document.place, resource: resourceOf(document), field, reason });
  const warn = into(warnings);
  const statuses = policyStatuses(mesh.model, attachRoutes(mesh.model));
  for (const document of mesh.policies) {
    if (document.refused !== undefined) continue;
    whomItSelects(mesh, document, warn);
    if (document.kind !== 'AuthorizationPolicy') continue;
    refusedWhole(document, holding, into(faults));
    aimedAtNobody(mesh.model, document, statuses, warn);
    forgotten(document, nowMs, warn);
    namesOfNobody(mesh, document, warn);
  }
  shadowed(mesh, holding, warn);
  return { faults, warnings };
}

/** Refused though each field is good. */
function refusedWhole(document: PolicyDocument, holding: Holding, say: Say): void {
  const entry = holding.enforced.get(policyKey(document));
  const { fault } = entry?.as ?? {};
  if (entry === undefined || fault?.kind !== 'refused' || entry.policy.fault !== undefined) return;
  const dead = holding.options.strictL7Deny ? deadRules(entry.policy) : [];
  const field = dead[0] === undefined ? 'spec.rules' : `spec.rules[${dead[0]}]`;
  say(document, field, `the policy is refused, and what it holds for is closed: ${fault.reason}`);
}

function whomItSelects({ labelled }: FileMesh, document: PolicyDocument, say: Say): void {
  const { namespace, selector } = document;
  // Files without any workload say nothing about whom a selector finds.
  if (labelled.length === 0 || (document.kind === 'AuthorizationPolicy' && document.aimed)) return;
  const everywhere = namespace === rootNamespace && document.kind === 'AuthorizationPolicy';
  const among = everywhere ? labelled : labelled.filter((one) => one.namespace === namespace);
  if (selector === undefined) {
    if (namespace !== rootNamespace && among.length === 0) {
      say(document, 'metadata.namespace', `holds for nobody: namespace ${namespace} has no workload in these files`);
    }
    return;
  }
  if (among.some(({ labels }) => selects(selector, labels))) return;
  const text = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
  const where = everywhere ? 'these files' : `namespace ${namespace}`;
  say(document, 'spec.selector.matchLabels', `selects nobody: no workload of ${where} has ${text.join(', ')}`);
}

function forgotten(document: PolicyDocument, nowMs: number, say: Say): void {
  if (document.kind !== 'AuthorizationPolicy' || !document.dryRun || document.created === undefined) return;
  const days = Math.floor((nowMs - document.created) / dayMs);
  if (days < dryRunDays) return;
  const reason = `is a dry run, of a policy that is ${days} days old: enforce it or remove it`;
  say(document, 'metadata.annotations["istio.io/dry-run"]', reason);
}

/** Principals that nobody can have, and accounts that nobody has. */
function namesOfNobody({ model, labelled }: FileMesh, document: PolicyDocument, say: Say): void {
  const policy = model.policies.get(policyKey(document));
  if (policy === undefined || document.kind !== 'AuthorizationPolicy') return;
  const accounts = new Set<string>();
  const principals = new Set<string>();
  for (const workload of model.workloads.values()) {
    const identity = identityOf(workload);
    principals.add(principalOf(identity));
    accounts.add(`${identity.namespace}/${identity.serviceAccount}`);
  }
  const peopled = new Set(labelled.map(({ namespace }) => namespace));
  const seen = new Set<string>();
  const told = (rule: number, reason: string) => {
    const field = `spec.rules[${ruleNumber(policy, rule)}]`;
    if (!seen.has(`${field} ${reason}`)) say(document, field, reason);
    seen.add(`${field} ${reason}`);
  };
  policy.rules.forEach((rule, i) => {
    for (const match of rule.flat()) {
      for (const one of [...match.principals, ...match.notPrincipals]) {
        if (one.kind === 'presence') continue;
        if (one.kind !== 'suffix' && one.value.includes('://')) {
          told(i, `principal ${one.value} is nobody's: principals are written without spiffe://`);
        } else if (one.kind === 'exact') {
          const [, namespace] = /^[^/]+\/ns\/([^/]+)\/sa\/[^/]+$/.exec(one.value) ?? [];
          if (namespace === undefined)
            told(i, `principal ${one.value} is nobody's: it is no DOMAIN/ns/NAMESPACE/sa/ACCOUNT`);
          else if (peopled.has(namespace) && !principals.has(one.value)) {
            told(i, `no workload in these files is principal ${one.value}`);
          }
        }
      }
      for (const { namespace, serviceAccount } of [...match.serviceAccounts, ...match.notServiceAccounts]) {
        const account = `${namespace}/${serviceAccount}`;
        if (peopled.has(namespace) && !accounts.has(account)) {
          told(i, `no workload in these files runs as service account ${account}`);
        }
      }
    }
  });
}

interface Ruled {
  readonly policy: Policy;
  readonly rule: number;
  readonly conjunctions: readonly Conjunction[];
}

function costOf(wide: Ruled, own: Ruled): number {
  const pairs = own.conjunctions.length * wide.conjunctions.length;
  if (pairs > maxComparisons) return pairs;
  return own.conjunctions.reduce((sum, c) => sum + wide.conjunctions.reduce((all, w) => all + coverCost(w, c), 0), 0);
}

/** Rules that decide nothing, because another one that holds wherever they do decides all of it. */
function shadowed({ model, policies }: FileMesh, holding: Holding, say: Say): void {
  const written = policies.filter((document) => document.kind === 'AuthorizationPolicy');
  const documents = new Map(written.map((document) => [policyKey(document), document]));
  const holdsFor = new Map<string, Set<string>>();
  for (const { uid, authorizationPolicies } of model.workloads.values()) {
    for (const key of authorizationPolicies) holdsFor.set(key, (holdsFor.get(key) ?? new Set()).add(uid));
  }
  const ordered = [...holding.enforced].sort(([a], [b]) => (a < b ? -1 : 1));
  const rules = ordered.flatMap(([, { policy, as }]): Ruled[] => {
    if (as.fault !== undefined || !documents.has(policyKey(policy))) return [];
    return (conjunctionsOf(as) ?? []).map((conjunctions, rule) => ({ policy: as, rule, conjunctions }));
  });
  /** Everywhere where `narrow` holds, `wide` does. */
  const reaches = (wide: Policy, narrow: Policy): boolean => {
    if (wide === narrow || wide.scope === 'global') return true;
    if (wide.scope === 'namespace') return narrow.namespace === wide.namespace && narrow.scope !== 'global';
    if (narrow.scope !== 'selector') return false;
    const own = holdsFor.get(policyKey(narrow));
    const other = holdsFor.get(policyKey(wide));
    return own !== undefined && other !== undefined && [...own].every((uid) => other.has(uid));
  };
  let left = maxComparisons;
  const numberOf = ({ policy, rule }: Ruled) => ruleNumber(policy, rule);
  rules.forEach((own, at) => {
    if (own.conjunctions.length === 0) return;
    const other = rules.find((wide, i) => {
      if (wide === own || wide.policy.dryRun || (own.policy.action === 'deny' && wide.policy.action === 'allow'))
        return false;
      if (!reaches(wide.policy, own.policy)) return false;
      const cost = costOf(wide, own);
      if (cost > left) return false;
      left -= cost;
      const whole = (by: Ruled, of: Ruled) => of.conjunctions.every((c) => by.conjunctions.some((w) => covers(w, c)));
      if (!whole(wide, own)) return false;
      // Of two that say the same the first counts.
      const alike = wide.policy.action === own.policy.action && wide.policy.dryRun === own.policy.dryRun;
      return !alike || i < at || !reaches(own.policy, wide.policy) || !whole(own, wide);
    });
    if (other === undefined) return;
    const by = `rules[${numberOf(other)}] of ${policyKey(other.policy)}`;
    const reason =
      other.policy.action === own.policy.action
        ? `decides nothing: ${by} ${own.policy.action === 'allow' ? 'allows' : 'denies'} all of it already`
        : `never allows anything: ${by} denies all of it`;
    const document = documents.get(policyKey(own.policy));
    if (document) say(document, `spec.rules[${numberOf(own)}]`, reason);
  });
}
