// SPDX-License-Identifier: Apache-2.0
// The program that judges connections, run by the kernel on maps written from compiled policies: it says what the plain evaluator says.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { addressTag } from '../../src/abi/hash.ts';
import { reasons } from '../../src/abi/reasons.ts';
import { denialFlag, identityHost, missState, settingFlag, stackFlag } from '../../src/abi/structs.ts';
import { type Judgement, judge, type Stack } from '../../src/compile/authz/judge.ts';
import { processEnv } from '../../src/env.ts';
import { principalOf } from '../../src/mesh/identity.ts';
import { emptyMatch, type Match, type Policy } from '../../src/mesh/policy.ts';
import { addressBytes } from '../../src/net/address.ts';
import { dumpMaps } from '../../src/tasks/dump-maps.ts';
import { stackOf } from '../compile/authz/judged.ts';
import { connection, policies } from '../support/authz-arbitrary.ts';
import { numbered, type Written, writeAuthz } from '../support/authz-maps.ts';
import { type AuthzProgram, openAuthzProgram } from '../support/authz-program.ts';
import { type Connection, referenceVerdict } from '../support/authz-reference.ts';
import type { Instance } from '../support/instance.ts';
import { type Lookup, lookupContext, runProgram } from '../support/program-run.ts';

let judging: AuthzProgram;
let instance: Instance;
let program: number;

beforeAll(async () => {
  judging = await openAuthzProgram(`km-verdict-${process.pid}`);
  ({ instance, program } = judging);
});

afterAll(() => judging?.close());

const map: Instance['plane']['map'] = (name) => instance.plane.map(name);

/** Does it get in? */
function ask(question: {
  source: string;
  destination: string;
  port: number;
  sourcePort?: number;
  protocol?: Lookup['protocol'];
}): boolean {
  const { source, destination, sourcePort = 40000, protocol = 'tcp', ...rest } = question;
  const context = lookupContext({
    source: addressBytes(source),
    destination: addressBytes(destination),
    sourcePort,
    protocol,
    ...rest,
  });
  const { answer } = runProgram(program, { context });
  expect([0, 1]).toContain(answer);
  return answer === 1;
}

/** Says who has the source's address. */
function own(source: string, id: number | undefined): void {
  if (id === undefined) map('authz_source').delete([source]);
  else map('authz_source').put([[source, { identity: id, tag: addressTag(source) }]]);
}

type Hits = Map<number, { denied: bigint; allowed: bigint; dry: bigint }>;

function count(hits: Hits, { allowed, by, dryRun }: Judgement, written: Written): void {
  const hit = (policy: Policy | undefined) => {
    const id = policy ? written.policy(policy) : 0;
    const held = hits.get(id) ?? { denied: 0n, allowed: 0n, dry: 0n };
    hits.set(id, held);
    return held;
  };
  hit(by?.policy)[allowed ? 'allowed' : 'denied']++;
  if (dryRun) hit(dryRun.by?.policy.dryRun ? dryRun.by.policy : undefined).dry++;
}

/** Every connection asked of the program; its verdicts are the evaluator's, its counters those of `judge`. */
function check(list: readonly Policy[], connections: readonly Connection[]): void {
  const identities = numbered(connections.flatMap(({ identity }) => identity ?? []));
  const stacks = new Map<string, Stack>();
  for (const { destination } of connections) {
    if (!stacks.has(destination)) stacks.set(destination, stackOf(list, destination));
  }
  const written = writeAuthz(instance.plane, stacks, identities);
  const hits: Hits = new Map();
  const ids = list.length + 1;
  map('authz_hit').delete(Array.from({ length: ids }, (_, id) => id));
  for (const [i, c] of connections.entries()) {
    own(c.source, c.identity && identities.get(principalOf(c.identity))?.[0]);
    const got = ask({ ...c, protocol: i % 2 === 0 ? 'tcp' : 'udp' });
    if (c.source === c.destination) {
      // From the pod to itself: never judged.
      expect(got).toBe(true);
      continue;
    }
    const want = referenceVerdict(list, c);
    if (got !== want.allowed)
      expect.fail(JSON.stringify({ list, connection: c, got, want: { ...want, by: [...want.by] } }));
    count(hits, judge(stacks.get(c.destination) as Stack, c), written);
  }
  expect(new Map(map('authz_hit').entries(ids)), JSON.stringify({ list, connections })).toEqual(hits);
  written.clear();
}

test('20,000 random connections to random policies', () => {
  fc.assert(fc.property(policies(), fc.array(connection, { minLength: 20, maxLength: 20 }), check), { numRuns: 1250 });
}, 300_000);

test('the same where policies take several words and sets', () => {
  const many = policies(5).map((list) =>
    Array.from({ length: 60 }, (_, i) => list.map((p) => ({ ...p, name: `${p.name}${i}` }))).flat(),
  );
  fc.assert(fc.property(many, fc.array(connection, { minLength: 20, maxLength: 20 }), check), { numRuns: 100 });
}, 300_000);

const pod = '10.0.0.1';
const peer = '10.0.0.2';
const question = { source: peer, destination: pod, port: 80 };

/** The pod's stack, with these flags and no sets. */
function stackWith(flags: number): void {
  map('authz_stack').put([[7, { generation: 1, count: 0, flags, sets: [] }]]);
  map('authz_dest').put([[pod, { stack: 7, tag: addressTag(pod) }]]);
}

/** Reasons that were counted while `body` ran; not how many denials went untold. */
function reasonsOf(body: () => void): Record<string, number> {
  const before = instance.plane.reasons();
  body();
  return Object.fromEntries(
    [...instance.plane.reasons()].flatMap(([why, n]) => {
      const more = Number(n - (before.get(why) ?? 0n));
      return more === 0 || why === 'denial_lost' ? [] : [[why, more]];
    }),
  );
}

test('what is not known, closed, open or torn', () => {
  own(peer, undefined);
  map('authz_dest').delete([pod]);
  const asked = (allowed: boolean) => reasonsOf(() => expect(ask(question)).toBe(allowed));
  expect(asked(false)).toEqual({ authz_pending: 1 });
  stackWith(0);
  expect(asked(true)).toEqual({ authz_allowed: 1 });
  stackWith(stackFlag.allows | stackFlag.dryAllows);
  expect(asked(false)).toEqual({ authz_no_match: 1 });
  stackWith(stackFlag.allows | stackFlag.dryAllows | stackFlag.closed);
  expect(asked(false)).toEqual({ authz_closed: 1 });
  // The node itself gets in wherever policies are known.
  own(peer, identityHost);
  expect(asked(true)).toEqual({ authz_host: 1 });
  // Values of other keys are never believed.
  map('authz_source').put([[peer, { identity: identityHost, tag: addressTag(peer) ^ 1 }]]);
  expect(asked(false)).toMatchObject({ authz_torn: 1 });
  own(peer, undefined);
  stackWith(0);
  map('authz_dest').put([[pod, { stack: 7, tag: addressTag(pod) ^ 1 }]]);
  expect(asked(false)).toMatchObject({ authz_torn: 1 });
  map('authz_dest').put([[pod, { stack: 1 << 20, tag: addressTag(pod) }]]);
  expect(asked(false)).toMatchObject({ authz_torn: 1 });
  map('authz_stack').put([[7, { generation: 1, count: 1, flags: 0, sets: [1 << 20, 0] }]]);
  map('authz_dest').put([[pod, { stack: 7, tag: addressTag(pod) }]]);
  expect(asked(false)).toMatchObject({ authz_torn: 1 });
  map('authz_dest').delete([pod]);
});

test('what a pod sends to itself', () => {
  own(peer, undefined);
  map('authz_dest').delete([pod]);
  expect(reasonsOf(() => expect(ask({ ...question, source: pod })).toBe(true))).toEqual({});
  const place = { netns: 42, host_netns: 1, ifindex: 9, flags: 0 };
  map('pod_address').put([
    [pod, place],
    [peer, place],
    ['10.0.0.3', { ...place, netns: 43 }],
  ]);
  expect(reasonsOf(() => expect(ask(question)).toBe(true))).toEqual({});
  expect(ask({ ...question, source: '10.0.0.3' })).toBe(false);
  map('pod_address').delete([pod]);
  expect(ask(question)).toBe(false);
  map('pod_address').delete([peer, '10.0.0.3']);
});

test('answers to datagrams of the pod', () => {
  own(peer, undefined);
  map('authz_dest').delete([pod]);
  map('pod_address').put([[pod, { netns: 42, host_netns: 1, ifindex: 9, flags: 0 }]]);
  // The lowest bit says that the peer sent first.
  const now = process.hrtime.bigint() & ~1n;
  const sent = (netns: number, peer_port: number, ns: bigint) => {
    map('sent').put([[{ netns, local_port: 80, peer_port, peer }, ns]]);
  };
  sent(42, 40000, now);
  sent(42, 40001, now > 130_000_000_000n ? now - 130_000_000_000n : 0n);
  sent(43, 40002, now);
  sent(42, 40004, now | 1n);
  const from = (sourcePort: number) => ask({ ...question, protocol: 'udp', sourcePort });
  expect(reasonsOf(() => expect(from(40000)).toBe(true))).toEqual({ authz_reply: 1 });
  // TCP, long ago unless the machine was just started, of another pod, from another port, an answer itself, of another address.
  expect(ask({ ...question, sourcePort: 40000 })).toBe(false);
  if (now > 130_000_000_000n) expect(from(40001)).toBe(false);
  expect(from(40002)).toBe(false);
  expect(from(40003)).toBe(false);
  expect(from(40004)).toBe(false);
  expect(ask({ ...question, protocol: 'udp', sourcePort: 40000, source: '10.0.0.3' })).toBe(false);
  map('pod_address').delete([pod]);
  expect(from(40000)).toBe(false);
});

const denying = (match: Partial<Match>, of: Partial<Policy> = {}): Policy => ({
  name: 'p',
  namespace: 'a',
  scope: 'namespace',
  action: 'deny',
  dryRun: false,
  rules: [[[{ ...emptyMatch, ...match }]]],
  ...of,
});

test('on demand an unknown source is asked for while policies ask who it is', () => {
  const asking = [denying({ principals: [{ kind: 'exact', value: 'cluster.local/ns/a/sa/x' }] })];
  const written = writeAuthz(instance.plane, new Map([[pod, stackOf(asking, pod)]]), new Map());
  const setting = map('setting').get(0) ?? { abi_version: 1, flags: 0, ports: 0n };
  own(peer, undefined);
  expect(ask(question)).toBe(true);
  map('setting').put([[0, { ...setting, flags: settingFlag.onDemand }]]);
  try {
    expect(reasonsOf(() => expect(ask(question)).toBe(false))).toMatchObject({ authz_miss: 1 });
    const asked = map('miss').get(peer);
    expect(asked?.state).toBe(missState.asked);
    map('miss').put([[peer, { since_ns: process.hrtime.bigint(), state: missState.answered }]]);
    expect(ask(question)).toBe(true);
    // Whoever is known is not asked for; nor is anybody when no policy asks.
    own('10.0.0.3', 5);
    expect(ask({ ...question, source: '10.0.0.3' })).toBe(true);
    expect(map('miss').get('10.0.0.3')).toBeUndefined();
    written.clear();
    stackWith(0);
    expect(ask({ ...question, source: '10.0.0.4' })).toBe(true);
    expect(map('miss').get('10.0.0.4')).toBeUndefined();
  } finally {
    map('setting').put([[0, setting]]);
  }
});

/** Nothing told of yet, of these policies. */
function fresh(policies: number): void {
  map('denial_limit').delete(Array.from({ length: policies + 1 }, (_, id) => id));
  instance.plane.denials();
}

test('denials are told of with who, what and why, and what only a dry run would deny', () => {
  const list = [
    denying({ destinationPorts: [80] }),
    denying({ destinationPorts: [81] }, { name: 'q', dryRun: true }),
    denying({ destinationPorts: [82] }, { name: 'r', action: 'allow', dryRun: true }),
  ];
  const written = writeAuthz(instance.plane, new Map([[pod, stackOf(list, pod)]]), new Map());
  own(peer, 9);
  fresh(list.length);
  const told = (port: number) => {
    const before = process.hrtime.bigint();
    const allowed = ask({ ...question, port });
    const [denial, ...more] = instance.plane.denials();
    expect(more).toEqual([]);
    if (denial) expect(denial.time_ns).toBeGreaterThanOrEqual(before);
    return { allowed, ...denial };
  };
  const [p, q] = list.map((policy) => written.policy(policy));
  expect(told(80)).toMatchObject({
    allowed: false,
    source: peer,
    destination: pod,
    source_port: 40000,
    destination_port: 80,
    protocol: 6,
    why: reasons.indexOf('authz_denied'),
    flags: 0,
    policy: p,
    dry_policy: 0,
    identity: 9,
  });
  const why = reasons.indexOf('authz_allowed');
  expect(told(81)).toMatchObject({ allowed: true, why, flags: denialFlag.dryRun, policy: 0, dry_policy: q });
  // Allowed by the dry run, as it is without it: nothing to tell.
  expect(told(82)).toEqual({ allowed: true });
  // With the dry run there is an ALLOW policy, and it does not match.
  expect(told(83)).toMatchObject({ allowed: true, why, flags: denialFlag.dryRun, policy: 0, dry_policy: 0 });
  written.clear();
});

test('so many denials of a policy are told of in a second, and how many were not', () => {
  const list = [denying({ destinationPorts: [80] }, { name: 'z' })];
  const written = writeAuthz(instance.plane, new Map([[pod, stackOf(list, pod)]]), new Map());
  own(peer, undefined);
  fresh(list.length);
  const lost = () => instance.plane.reasons().get('denial_lost') as bigint;
  const before = lost();
  const asked = 2000;
  for (let i = 0; i < asked; i++) expect(ask(question)).toBe(false);
  const told = instance.plane.denials();
  expect(told.length).toBeGreaterThanOrEqual(16);
  expect(told.length + Number(lost() - before)).toBe(asked);
  expect(told.length).toBeLessThan(asked);
  // Some second later the next one says how many were missed, by CPU.
  const missed = () => {
    ask(question);
    return instance.plane.denials().some((denial) => denial.lost > 0);
  };
  return vi.waitFor(() => expect(missed()).toBe(true), { timeout: 60_000, interval: 50 }).then(() => written.clear());
}, 90_000);

test('a dump shows whose address it is, and whose conjunction', async () => {
  const rules = [[[{ ...emptyMatch, destinationPorts: [80] }]], [[{ ...emptyMatch, destinationPorts: [81] }]]];
  const list = [denying({}, { rules })];
  const written = writeAuthz(instance.plane, new Map([[pod, stackOf(list, pod)]]), new Map());
  own(peer, identityHost);
  own('10.0.0.3', 5);
  const env = processEnv(new AbortController().signal);
  const shown = async (name: string) => {
    for await (const { entries } of await dumpMaps(env, { place: instance.place, names: [name], raw: false }))
      return [...entries];
    return [];
  };
  expect(await shown('authz_source')).toEqual(
    expect.arrayContaining([
      { key: peer, value: { identity: { id: identityHost, name: 'the node itself' }, tag: addressTag(peer) } },
      { key: '10.0.0.3', value: { identity: { id: 5, name: '#5' }, tag: addressTag('10.0.0.3') } },
    ]),
  );
  const policy = { id: written.policy(list[0] as Policy), name: '#1' };
  expect((await shown('authz_member')).slice(0, 2)).toEqual([
    { key: 0, value: { policy, rule: 0 } },
    { key: 1, value: { policy, rule: 1 } },
  ]);
  written.clear();
});
