// SPDX-License-Identifier: Apache-2.0
// What is listed of pods and policies from the maps, and whom names mean.
import { describe, expect, test } from 'vitest';
import { nameKind } from '../../../src/abi/structs.ts';
import type { AuthzPolicyRow, AuthzRow } from '../../../src/admin/authz.ts';
import type { AdminClient } from '../../../src/admin/client.ts';
import { writeEnrolments } from '../../../src/agent/enrolments.ts';
import { nameParts } from '../../../src/compile/names.ts';
import { KmeshError } from '../../../src/errors.ts';
import { openMemory } from '../../../src/kernel/memory.ts';
import { emptyMatch, type Match, type Policy } from '../../../src/mesh/policy.ts';
import { findSource, findTarget } from '../../../src/tasks/authz/parties.ts';
import { type JudgedRow, judgedRows, policyRows, withAgent } from '../../../src/tasks/authz/status.ts';
import { readNames } from '../../../src/tasks/held/names.ts';
import { stackOf } from '../../compile/authz/judged.ts';
import { writeAuthz } from '../../support/authz-maps.ts';

const make = (name: string, action: Policy['action'], fields: Partial<Match>[], dryRun = false): Policy => ({
  ...{ name, namespace: 'shop', scope: 'namespace', action, dryRun },
  rules: fields.map((match) => [[{ ...emptyMatch, ...match }]]),
});
const cart = '10.0.0.9';
const frontend = '10.0.0.8';
const ports = (...list: number[]) => list.map((port) => ({ destinationPorts: [port] }));
const place = { bpffs: '', cgroupRoot: '', runDir: '' };

/** A node where cart is judged, frontend is pending and batch is not judged. */
function node() {
  const plane = openMemory();
  const list = [
    make('a', 'allow', [...ports(80), { destinationPorts: [81], namespaces: [{ kind: 'exact', value: 'x' }] }]),
    make('d', 'deny', ports(22)),
    make('t', 'deny', ports(23), true),
  ];
  const written = writeAuthz(plane, new Map([[cart, stackOf(list, cart)]]), new Map());
  for (const policy of list) {
    const name = `${policy.namespace}/${policy.name}`;
    const [part] = nameParts(name);
    if (part) plane.map('name').put([[{ id: written.policy(policy), kind: nameKind.policy, part: 0 }, part]]);
  }
  const enrolment = (cgroupId: bigint, name: string, netns: bigint, authz: boolean) =>
    [cgroupId, { cgroupId, level: 1, workload: `shop/${name}`, netns, authz, sinceNs: 1n }] as const;
  writeEnrolments(
    plane,
    new Map([enrolment(1n, 'cart', 7n, true), enrolment(2n, 'frontend', 8n, true), enrolment(3n, 'batch', 9n, false)]),
    () => 0,
  );
  const pod = (netns: number) => ({ netns, host_netns: 0, ifindex: 0, flags: 0 });
  plane.map('pod_address').put([
    [cart, pod(7)],
    [frontend, pod(8)],
  ]);
  return { plane, written, list };
}

test('a row for each that is enrolled, with the policies that hold for it', () => {
  const { plane, written, list } = node();
  const rows = judgedRows(plane, readNames(plane));
  expect(
    rows.map(({ workload, enforcement, mode, conjunctions, addresses }) => [
      workload,
      enforcement,
      mode,
      conjunctions,
      addresses,
    ]),
  ).toEqual([
    ['shop/batch', 'off', undefined, 0, []],
    ['shop/cart', 'on', 'allow-list', 4, [cart]],
    ['shop/frontend', 'pending', undefined, 0, [frontend]],
  ]);
  expect(rows[1]?.policies).toEqual([
    { policy: 'shop/a', action: 'allow', dryRun: false, conjunctions: 2 },
    { policy: 'shop/d', action: 'deny', dryRun: false, conjunctions: 1 },
    { policy: 'shop/t', action: 'deny', dryRun: true, conjunctions: 1 },
  ]);
  plane.map('authz_hit').put([[written.policy(list[1] as Policy), { denied: 3n, allowed: 0n, dry: 0n }]]);
  const row = (policy: string, more: Partial<AuthzPolicyRow>): AuthzPolicyRow => ({
    ...{ policy, action: 'allow', scope: 'namespace', dryRunOnly: false, conjunctions: 1, fault: '', state: 'good' },
    ...{ deniesLess: false, denied: 0, allowed: 0, dryRun: 0 },
    ...more,
  });
  const known: AuthzRow = {
    ...{ workload: 'shop/cart', cgroupId: '1', enforcement: 'on', addresses: [], mode: 'closed', conjunctions: 4 },
    policies: [
      row('shop/a', { state: 'stale', fault: 'a later version is refused' }),
      row('shop/t', { deniesLess: true }),
      row('shop/nothing', {}),
    ],
    closed: [{ policy: 'shop/x', reason: 'it is not known' }],
    stale: ['shop/a'],
  };
  const told = withAgent(rows[1] as JudgedRow, known);
  expect(told).toMatchObject({ mode: 'closed', closed: known.closed, stale: known.stale });
  expect(policyRows(plane, [told], [known])).toMatchObject([
    { policy: 'shop/a', fault: 'stale: a later version is refused' },
    { policy: 'shop/d', hits: { denied: 3, allowed: 0, dryRun: 0 }, holdsFor: 1, fault: '' },
    { policy: 'shop/nothing', conjunctions: 0, fault: '' },
    { policy: 'shop/t', fault: 'DENIES LESS THAN IT SAYS: it rests on HTTP attributes' },
  ]);
});

/** An agent that knows one workload, or none that answers. */
const agent = (addresses?: readonly string[]): AdminClient =>
  ({
    async *config({ filter }: { filter: string }) {
      if (!addresses) throw new KmeshError('KM_AGENT_UNREACHABLE', 'no agent');
      yield { kind: 'workload', name: `Kubernetes//Pod/other-${filter}`, fields: { workloadIps: ['10.9.9.9'] } };
      yield { kind: 'workload', name: `Kubernetes//Pod/${filter}`, fields: { workloadIps: addresses } };
    },
  }) as unknown as AdminClient;

describe('who is meant', () => {
  test('by address, by what is enrolled, by what the agent knows', async () => {
    const { plane } = node();
    expect(await findSource(plane, agent(), place, '::ffff:10.0.0.1')).toEqual({
      workload: '',
      addresses: ['10.0.0.1'],
    });
    expect(await findSource(plane, agent(), place, 'shop/cart')).toEqual({ workload: 'shop/cart', addresses: [cart] });
    const far = await findSource(plane, agent(['10.5.0.1', 'fd00::5']), place, 'shop/far');
    expect(far).toEqual({ workload: 'shop/far', addresses: ['10.5.0.1', 'fd00::5'] });
    const target = await findTarget(plane, agent(), 'shop/frontend:53/udp');
    expect(target).toEqual({ workload: 'shop/frontend', addresses: [frontend], port: 53, protocol: 'udp' });
    expect(await findTarget(plane, agent(), '[fd00::1]:80')).toMatchObject({ addresses: ['fd00::1'], port: 80 });
  });

  test.each(['shop/cart', 'shop/cart:0', 'shop/cart:x', 'cart:80', '10.0.0.1'])('usage: --to %s', async (to) => {
    const { plane } = node();
    await expect(findTarget(plane, agent(), to)).rejects.toMatchObject({ code: 'KM_USAGE' });
  });

  test('one that nobody knows', async () => {
    const { plane } = node();
    const unknown = { code: 'KM_NOT_FOUND', hint: expect.stringContaining('authz status') };
    await expect(findTarget(plane, agent(), 'shop/nobody:80')).rejects.toMatchObject(unknown);
    // Perhaps a service: who judges requests to it is told elsewhere.
    const service = { hint: expect.stringContaining('waypoint status') };
    await expect(findTarget(plane, agent(), 'shop/web:80')).rejects.toMatchObject(service);
  });
});
