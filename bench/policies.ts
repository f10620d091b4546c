// SPDX-License-Identifier: Apache-2.0
// How long a changed policy takes from the model to the kernel on a node with 250 pods that are judged: one of a single workload, and one
// of the mesh with 10,000 ranges.
import { join } from 'node:path';
import { openReconciler } from '../src/agent/reconciler.ts';
import type { Reconciler } from '../src/agent/reconciler-api.ts';
import type { EnforcedPod } from '../src/compile/authz/enforcement.ts';
import { defaultAuthzOptions } from '../src/compile/authz/holding.ts';
import { makeCgroup, removeCgroupTree } from '../src/demo/cgroup-tree.ts';
import { cgroupMount } from '../src/kernel/cgroup.ts';
import type { Change } from '../src/mesh/model.ts';
import { emptyMatch, type Match, type Policy, policyKey } from '../src/mesh/policy.ts';
import type { Workload } from '../src/mesh/workload.ts';
import { openInstance } from '../test/support/instance.ts';
import { meshChanges, firstNode as view } from './model.ts';
import { type Line, report } from './report.ts';
import { percentile } from './statistics.ts';

const judged = 250;
const changes = 500;
const globalChanges = 20;
const ranges = 10_000;
const size = { services: 1000, workloads: 10_000, perNode: judged, dualStack: true };

function policy(name: string, namespace: string, scope: Policy['scope'], match: Partial<Match>, deny = false): Policy {
  const rules = [[[{ ...emptyMatch, ...match }]]];
  return { name, namespace, scope, action: deny ? 'deny' : 'allow', rules, dryRun: false };
}

/** Who may come to pod `n`, another one in each round. */
const ownPolicy = (n: number, round: number): Policy =>
  policy(`own-${n}`, 'team', 'selector', {
    serviceAccounts: [{ namespace: `team-${(n + round) % 50}`, serviceAccount: 'default' }],
    sourceIps: [{ address: `172.${round & 255}.0.0`, length: 16 }],
    destinationPorts: [8080, 1000 + round],
  });

const blocked = (round: number): Policy =>
  policy(
    'blocked',
    'istio-system',
    'global',
    {
      sourceIps: Array.from({ length: ranges }, (_, i) => ({
        address: `${20 + round}.${i >> 8}.${i & 255}.0`,
        length: 24,
      })),
    },
    true,
  );

/** The pods of this node name a policy of their own each. */
function* mesh(): IterableIterator<Change> {
  let n = 0;
  for (const change of meshChanges(size)) {
    if (change.kind !== 'put-workload' || change.workload.node !== view.node) {
      yield change;
      continue;
    }
    const own = ownPolicy(n++, 0);
    yield { kind: 'put-policy', policy: own };
    yield { kind: 'put-workload', workload: { ...change.workload, authorizationPolicies: [policyKey(own)] } };
  }
}

const podOf = (workload: Workload, i: number): EnforcedPod => ({
  workload: `${workload.namespace}/${workload.name}`,
  netns: 1000 + i,
  hostNetns: 1,
  ifindex: 2 + i,
  addresses: workload.addresses,
});

async function timed(reconciler: Reconciler, changed: Policy): Promise<number> {
  const begun = performance.now();
  const { error, operations } = await reconciler.submit([{ kind: 'put-policy', policy: changed }]);
  if (error) throw error;
  if (operations === 0) throw new Error('a changed policy wrote nothing');
  const took = performance.now() - begun;
  const [refused] = reconciler.status().refusedVerdicts;
  if (refused) throw new Error(`refused: ${refused.reason}`);
  return took;
}

const latency = (what: string, times: readonly number[], limit: number): Line => {
  const p99 = percentile(times, 0.99);
  return {
    what,
    figure: `p50 ${percentile(times, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms (${times.length} changes)`,
    limit: `p99 at most ${limit} ms`,
    met: p99 <= limit,
  };
};

async function measure(root: string): Promise<Line[]> {
  const all = [...mesh()];
  const pods = all
    .flatMap((change) =>
      change.kind === 'put-workload' && change.workload.node === view.node ? [change.workload] : [],
    )
    .map(podOf);
  const enforcement = { pods, hosts: new Set<string>() };
  const instance = await openInstance(root);
  const reconciler = openReconciler({
    plane: instance.plane,
    view,
    authz: { options: defaultAuthzOptions, read: () => ({ enforcement, pods: [] }) },
  });
  try {
    const { error } = await reconciler.replaceAll(all);
    if (error) throw error;
    const held = instance.plane.map('authz_dest').count();
    if (held !== judged * 2) throw new Error(`${held} addresses are judged, not ${judged * 2}`);
    const own: number[] = [];
    const global: number[] = [];
    for (let i = 1; i <= changes; i++) own.push(await timed(reconciler, ownPolicy(i % judged, i)));
    for (let i = 1; i <= globalChanges; i++) {
      global.push(await timed(reconciler, blocked(i)));
      // The old ranges are freed after a grace period.
      await reconciler.idle();
    }
    const after: number[] = [];
    for (let i = 1; i <= changes; i++) after.push(await timed(reconciler, ownPolicy(i % judged, changes + i)));
    return [
      latency('policy of one workload changed', own, 50),
      latency(`policy of the mesh with ${ranges} ranges changed`, global, 1000),
      latency('policy of one workload changed, beside that', after, 50),
    ];
  } finally {
    await reconciler.close();
    await instance.close();
  }
}

export async function benchPolicies(): Promise<Line[]> {
  const root = join(cgroupMount(), `km-policies-${process.pid}`);
  await makeCgroup(root);
  try {
    return report(`Changed policies, ${judged} pods judged`, await measure(root));
  } finally {
    await removeCgroupTree(root);
  }
}
