// SPDX-License-Identifier: Apache-2.0
// What is in effect of documents that are broken outlives a restart: nothing that was forbidden is let through by one, and no service is lost.
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { deserialize, serialize } from 'node:v8';
import { beforeEach, expect, test } from 'vitest';
import type { Policy } from '../../../src/mesh/policy.ts';
import { folder, listen, pod } from './listening.ts';
import { dedent } from './texts.ts';

const policy = (name: string, spec = 'action: DENY, rules: [{}]') =>
  dedent(`
    ---
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: ${name}, namespace: shop}
    spec: {${spec}}
  `);
/** As an editor with another encoding leaves it. */
const notUtf8 = (text: string) => Buffer.concat([Buffer.from(text), Buffer.from([0x23, 0x20, 0xe9, 0x0a])]);

let path: string;
let kept: string;
beforeEach(() => {
  path = folder();
  kept = join(folder(), 'last-good');
});

/** An agent's source from its start on: policies by name, pods with their nodes, faults. */
async function start(paths: readonly string[] = [path], stdin?: Readable) {
  const heard = listen(paths, { lastGood: kept, ...(stdin && { stdin }) });
  await heard.source.loaded;
  const policies = () => {
    const now = new Map<string, Policy>();
    for (const change of heard.told.flatMap(({ changes }) => changes)) {
      if (change.kind === 'put-policy') now.set(change.policy.name, change.policy);
      else if (change.kind === 'remove-policy') now.delete(change.key.slice('shop/'.length));
    }
    return Object.fromEntries([...now].map(([name, { action, fault }]) => [name, fault ? fault.kind : action]));
  };
  const report = () => heard.told.at(-1)?.report;
  return { ...heard, policies, report, stop: () => heard.source.close() };
}
type Agent = Awaited<ReturnType<typeof start>>;

async function restart(agent: Agent, meanwhile = (): void => {}, paths?: readonly string[]): Promise<Agent> {
  await agent.stop();
  meanwhile();
  return start(paths);
}
const write = (name: string, text: string | Uint8Array) => writeFileSync(join(path, name), text);

test('a broken document: its last good version stays, and goes with the next good one', async () => {
  write('pods.yaml', pod('a') + pod('b'));
  write('p.yaml', policy('p', 'rules: [{}]') + policy('q'));
  let agent = await start();
  write('pods.yaml', pod('a', '7') + pod('b'));
  write('p.yaml', policy('p', 'rules: 3') + policy('q'));
  await agent.until(() => agent.report()?.faults.length === 2);
  const faults = agent.faults();
  for (let i = 0; i < 2; i++) {
    agent = await restart(agent);
    expect(agent.state()).toEqual({ a: 'n1', b: 'n1' });
    expect(agent.policies()).toEqual({ p: 'stale', q: 'deny' });
    expect(agent.faults()).toEqual(faults);
  }
  write('pods.yaml', pod('a', 'n2'));
  await agent.until(() => agent.state().a === 'n2' && !('b' in agent.state()));
  write('p.yaml', policy('p', 'rules: [{}]'));
  await agent.until(() => !('q' in agent.policies()));
  agent = await restart(agent, () => write('pods.yaml', pod('a', '7')));
  // Pods whose document was good when the agent ended are not kept: there may be very many.
  expect(agent.state()).toEqual({});
  expect(agent.policies()).toEqual({ p: 'allow' });
});

test('policies of a file that cannot be read as text, broken before or meanwhile', async () => {
  write('a.yaml', pod('a'));
  write('p.yaml', policy('p'));
  write('q.yaml', policy('q'));
  let agent = await start();
  write('p.yaml', notUtf8(policy('p')));
  await agent.until(() => agent.report()?.faults.length === 1);
  agent = await restart(agent, () => write('q.yaml', notUtf8('')));
  expect(agent.policies()).toEqual({ p: 'deny', q: 'deny' });
  expect(agent.faults()).toEqual([
    `${path}/p.yaml:6:3: is not UTF-8 (the version read before stays)`,
    `${path}/q.yaml:1:3: is not UTF-8 (the version read before stays)`,
  ]);
  write('q.yaml', policy('other'));
  await agent.until(() => 'other' in agent.policies());
  expect(agent.policies()).toEqual({ p: 'deny', other: 'deny' });
  // Written into another file, and broken there.
  agent = await restart(agent, () => {
    unlinkSync(join(path, 'q.yaml'));
    write('r.yaml', policy('other', 'rules: 3'));
  });
  expect(agent.policies()).toEqual({ p: 'deny', other: 'deny' });
});

test('policies of a folder that is not there, until it is', async () => {
  const [base, more] = [join(path, 'base'), join(path, 'more')];
  mkdirSync(base);
  mkdirSync(join(more, 'deep'), { recursive: true });
  writeFileSync(join(base, 'a.yaml'), pod('a'));
  writeFileSync(join(more, 'p.yaml'), policy('p'));
  writeFileSync(join(more, 'deep', 'q.yaml'), policy('q'));
  let agent = await start([base, more]);
  agent = await restart(agent, () => renameSync(more, `${more}.away`), [base, more]);
  expect(agent.state()).toEqual({ a: 'n1' });
  expect(agent.policies()).toEqual({ p: 'deny', q: 'deny' });
  expect(agent.faults()).toEqual([`${more}: does not exist`]);
  unlinkSync(join(`${more}.away`, 'p.yaml'));
  renameSync(`${more}.away`, more);
  await agent.until(() => agent.report()?.faults.length === 0);
  expect(agent.policies()).toEqual({ q: 'deny' });
  // A path that nobody gives any more is none of its business.
  agent = await restart(agent, () => {}, [base]);
  expect(agent.policies()).toEqual({});
  expect(readdirSync(kept)).toEqual([]);
});

test('nothing readable at all says nothing, as before; what was kept comes with the first that says something', async () => {
  write('a.yaml', pod('a'));
  write('p.yaml', policy('p'));
  let agent = await start();
  const [a, p] = [notUtf8(pod('a')), notUtf8(policy('p'))];
  agent = await restart(agent, () => {
    write('a.yaml', a);
    write('p.yaml', p);
  });
  expect(agent.report()).toMatchObject({ objects: 0 });
  expect(agent.told.flatMap(({ changes }) => changes)).toEqual([]);
  agent = await restart(agent);
  expect(agent.told.flatMap(({ changes }) => changes)).toEqual([]);
  write('a.yaml', pod('a', 'n2'));
  await agent.until(() => agent.state().a === 'n2');
  expect(agent.policies()).toEqual({ p: 'deny' });
});

test('what was deleted meanwhile is gone', async () => {
  write('a.yaml', pod('a'));
  write('p.yaml', policy('p'));
  let agent = await start();
  expect(readdirSync(kept)).toHaveLength(1);
  expect([statSync(kept).mode & 0o777, ...readdirSync(kept).map((n) => statSync(join(kept, n)).mode & 0o777)]).toEqual([
    0o700, 0o600,
  ]);
  agent = await restart(agent, () => unlinkSync(join(path, 'p.yaml')));
  expect(agent.policies()).toEqual({});
  expect(readdirSync(kept)).toEqual([]);
  // All of it: then the first file that comes brings nothing back.
  write('p.yaml', policy('p'));
  await agent.until(() => 'p' in agent.policies());
  agent = await restart(agent, () => {
    unlinkSync(join(path, 'a.yaml'));
    unlinkSync(join(path, 'p.yaml'));
  });
  write('a.yaml', pod('a'));
  await agent.until(() => 'a' in agent.state());
  expect(agent.policies()).toEqual({});
});

test('records that cannot be read, or are of another format, are left behind with a warning', async () => {
  write('a.yaml', pod('a'));
  write('p.yaml', policy('p'));
  write('q.yaml', policy('q'));
  let agent = await start();
  await agent.stop();
  const [one, two] = readdirSync(kept).map((name) => join(kept, name)) as [string, string];
  writeFileSync(one, 'garbage');
  writeFileSync(two, serialize({ ...deserialize(readFileSync(two)), format: 0 }));
  write('p.yaml', notUtf8(''));
  agent = await start();
  expect(agent.warnings.sort()).toEqual(
    [one, two].sort().map((file) => expect.stringMatching(new RegExp(`^what was in effect before .*${file}`))),
  );
  expect(agent.policies()).toEqual({ q: 'deny' });
  agent = await restart(agent);
  expect(agent.warnings).toEqual([]);
});

test('standard input: kept as a file is, and an empty one is a fault', async () => {
  write('a.yaml', pod('a'));
  const given = (text: string | Uint8Array) => start([path, '-'], Readable.from([text].filter((t) => t.length > 0)));
  let agent = await given(policy('p'));
  expect(agent.policies()).toEqual({ p: 'deny' });
  await agent.stop();
  agent = await given('');
  expect(agent.policies()).toEqual({ p: 'deny' });
  expect(agent.faults()).toEqual(['-: is empty (the version read before stays)']);
});
