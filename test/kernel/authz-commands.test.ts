// SPDX-License-Identifier: Apache-2.0
// authz enable, disable, status and explain on a real kernel without an agent: what they say is what becomes of connections.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { addressTag } from '../../src/abi/hash.ts';
import { identityHost, nameKind } from '../../src/abi/structs.ts';
import type { Stack } from '../../src/compile/authz/judge.ts';
import { nameParts } from '../../src/compile/names.ts';
import { unload } from '../../src/kernel/load.ts';
import { emptyMatch, type Policy, policyKey } from '../../src/mesh/policy.ts';
import { stackOf } from '../compile/authz/judged.ts';
import { numbered, writeAuthz } from '../support/authz-maps.ts';
import { type Answer, type Node, openNode } from '../support/node.ts';
import { type Python, startPython } from '../support/python.ts';

let node: Node;
let client: Python;

beforeAll(async () => {
  node = await openNode('authz-commands', ['client', 'server', 'other']);
  await node.serve('server', 'tcp/8080', 'tcp/8081', 'tcp/8082');
  client = await startPython(node.pod('client'));
}, 60_000);
afterAll(() => node?.close(), 60_000);
beforeEach(async () => {
  expect(await node.kmeshctl('load')).toMatchObject({ code: 0 });
  for (const name of ['server', 'other']) {
    const { cgroup, netns } = node.pod(name);
    const words = ['--netns', netns, '--workload', `shop/${name}`, '--authz', 'off'];
    expect(await node.kmeshctl('enroll', cgroup, ...words)).toMatchObject({ code: 0 });
  }
}, 60_000);
afterEach(() => unload(node.place.bpffs));

const call = (port = 8080) =>
  client.run<string>('out = list(calls(host, port, 1))[0]', { host: node.pod('server').address4, port });
const authz = (...words: readonly string[]) => node.kmeshctl('authz', ...words);
const json = (answer: Answer) => {
  expect(answer).toMatchObject({ code: 0, err: '' });
  return JSON.parse(answer.out);
};
const states = async () => {
  const { pods } = json(await authz('status', '-o', 'json'));
  return pods.map((row: { workload: string; enforcement: string }) => `${row.workload} ${row.enforcement}`);
};
const explain = async (from: string, port = 8080) => {
  const [only] = json(
    await authz('explain', '--from', from, '--to', `${node.pod('server').address4}:${port}`, '-o', 'json'),
  );
  return only;
};

const cart = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' };
const policies: readonly Policy[] = [
  {
    ...{ name: 'cart', namespace: 'shop', scope: 'namespace', action: 'allow', dryRun: false },
    rules: [
      [[{ ...emptyMatch, destinationPorts: [8081] }]],
      [[{ ...emptyMatch, destinationPorts: [8080], serviceAccounts: [{ namespace: 'shop', serviceAccount: 'cart' }] }]],
    ],
  },
  {
    ...{ name: 'trial', namespace: 'shop', scope: 'namespace', action: 'deny', dryRun: true },
    rules: [[[{ ...emptyMatch, destinationPorts: [8081] }]]],
  },
];

/** As an agent does. `owner`: who has the client's address. */
function writePolicies(owner: number): void {
  const { address4, address6 } = node.pod('server');
  node.held((plane) => {
    const stack = stackOf(policies, address4);
    const stacks = new Map<string, Stack>([address4, address6].map((address) => [address, stack]));
    const written = writeAuthz(plane, stacks, numbered([cart]));
    const names: [keyof typeof nameKind, number, string][] = policies.map((p) => [
      'policy',
      written.policy(p),
      policyKey(p),
    ]);
    names.push(['identity', 1, 'cluster.local/ns/shop/sa/cart']);
    plane.map('name').put(
      names.map(([kind, id, name]) => {
        const [part] = nameParts(name);
        return [{ id, kind: nameKind[kind], part: 0 }, part as NonNullable<typeof part>];
      }),
    );
    const source = node.pod('client').address4;
    plane.map('authz_source').put([[source, { identity: owner, tag: addressTag(source) }]]);
  });
}

test('enable and disable name what they would do, and do it with --yes', async () => {
  const asked = await authz('enable');
  expect(asked.code).toBe(2);
  expect(asked.err).toMatch(
    /KM_USAGE: this would refuse all inbound connections of shop\/other, shop\/server, as no agent runs that knows policies/,
  );
  expect(asked.err).toContain('--yes');
  const dry = await authz('enable', '--dry-run');
  expect(dry.out).toMatch(
    /attach +authorization +network namespace \d+\n.*write +shop\/other[\s\S]*nothing was changed/,
  );
  expect(await states()).toEqual(['shop/other off', 'shop/server off']);
  expect(await call()).toBe('server');

  const one = await authz('enable', '--workload', 'shop/server', '--yes');
  expect(one).toMatchObject({ code: 0, err: '' });
  expect(one.out).toContain('judged from now on: shop/server; nothing gets in until their policies are known');
  expect(await states()).toEqual(['shop/other off', 'shop/server pending']);
  expect(await call()).toBe('ECONNREFUSED');
  expect((await authz('enable', '-y')).out).toContain('judged from now on: shop/other');
  expect((await authz('enable')).out).toContain('nothing to do');

  const open = await authz('disable', '--workload', 'shop/server');
  expect(open.code).toBe(2);
  const { address4, address6 } = node.pod('server');
  const at = `shop/server (${[address4, address6].sort().join(', ')})`;
  expect(open.err).toContain(`this would let everything in to ${at}, whatever their policies say`);
  expect(await call()).toBe('ECONNREFUSED');
  expect((await authz('disable', '--yes')).out).toContain('not judged any more: shop/other, shop/server');
  expect(await states()).toEqual(['shop/other off', 'shop/server off']);
  expect(await call()).toBe('server');
  expect(node.held((plane) => plane.enforced().size)).toBe(0);
  const nobody = await authz('disable', '--workload', 'shop/nobody', '--yes');
  expect(nobody.err).toContain('KM_NOT_ENROLLED');
});

test('explain says what becomes of a connection, and why', async () => {
  const from = node.pod('client').address4;
  expect(await explain(from)).toMatchObject({ verdict: 'allow', because: 'not-judged' });
  await authz('enable', '--yes');
  expect(await explain(from)).toMatchObject({ verdict: 'deny', because: 'pending', to: { workload: 'shop/server' } });

  writePolicies(1);
  const allowed = await explain(from);
  expect(allowed).toMatchObject({
    verdict: 'allow',
    because: 'policies',
    principal: 'cluster.local/ns/shop/sa/cart',
    told: { why: 'allow', by: { policy: 'shop/cart', rule: 1 } },
  });
  expect(await call()).toBe('server');
  expect(await explain(from, 8081)).toMatchObject({
    told: { verdict: 'allow', by: { rule: 0 }, dryRun: { verdict: 'deny', by: { policy: 'shop/trial', rule: 0 } } },
  });
  expect(await call(8081)).toBe('server');
  expect(await explain(from, 8082)).toMatchObject({ verdict: 'deny', told: { why: 'no-match' } });
  expect(await call(8082)).toBe('ECONNREFUSED');
  const text = await authz('explain', '--from', from, '--to', 'shop/server:8082');
  expect(text.out).toMatch(/verdict +deny\nwhy +ALLOW policies hold for it, and none matches/);
  expect(text.out).toMatch(/nearest +ALLOW shop\/cart rules\[\d] asks for another port/);

  writePolicies(identityHost);
  expect(await explain(from, 8082)).toMatchObject({ verdict: 'allow', because: 'host' });
  expect(await call(8082)).toBe('server');
  expect(await explain(node.pod('server').address4)).toMatchObject({ because: 'own' });
  expect(await explain('shop/other')).toMatchObject({ from: { workload: 'shop/other' }, verdict: 'deny' });
});

test('status lists policies and what they decided', async () => {
  await authz('enable', '--workload', 'shop/server', '--yes');
  writePolicies(1);
  expect([await call(), await call(8081), await call(8082)]).toEqual(['server', 'server', 'ECONNREFUSED']);
  const { pods, policies: rows, reasons } = json(await authz('status', '--workload', 'shop/server', '-o', 'json'));
  const { address4, address6 } = node.pod('server');
  expect(pods).toMatchObject([
    {
      workload: 'shop/server',
      enforcement: 'on',
      mode: 'allow-list',
      conjunctions: 3,
      addresses: [address4, address6].sort(),
    },
  ]);
  expect(rows).toMatchObject([
    { policy: 'shop/cart', action: 'allow', conjunctions: 2, holdsFor: 1, hits: { allowed: 2, denied: 0 } },
    { policy: 'shop/trial', action: 'deny', dryRun: true, hits: { dryRun: 1 } },
  ]);
  expect(reasons.map(({ reason }: { reason: string }) => reason)).toContain('authz_no_match');
  const table = (await authz('status')).out;
  expect(table).toMatch(/WORKLOAD +ENFORCED +MODE/);
  expect(table).toMatch(/shop\/server +on +allow-list +2 +3/);
});

test("of all, what is in the host's network stays open; asked for by name it is refused", async () => {
  const words = ['--netns', '/proc/self/ns/net', '--workload', 'shop/host', '--authz', 'off'];
  expect(await node.kmeshctl('enroll', node.pod('client').cgroup, ...words)).toMatchObject({ code: 0 });
  const one = await authz('enable', '--workload', 'shop/host', '--yes');
  expect(one.code).toBe(1);
  expect(one.err).toContain(
    'KM_NETNS: inbound connections of cgroup "shop/host" cannot be judged: it is in the host\'s network',
  );
});
