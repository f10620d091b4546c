// SPDX-License-Identifier: Apache-2.0
// Enrolling with authorization on and off, by the commands: what is judged from when to when.
import { execFileSync } from 'node:child_process';
import { closeSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { addressTag } from '../../src/abi/hash.ts';
import { reasons } from '../../src/abi/reasons.ts';
import { denialFlag, stackFlag, stackSets } from '../../src/abi/structs.ts';
import { takeLock } from '../../src/agent/lock.ts';
import { cgroupId } from '../../src/kernel/cgroup.ts';
import { lookupHook } from '../../src/kernel/hooks.ts';
import { libbpf, stableBytes } from '../../src/kernel/libbpf.ts';
import { attachNetns } from '../../src/kernel/link.ts';
import { unload } from '../../src/kernel/load.ts';
import { openNetns } from '../../src/kernel/netns.ts';
import { type Answer, type Node, openNode } from '../support/node.ts';
import { type Python, startPython } from '../support/python.ts';

let node: Node;
let client: Python;

beforeAll(async () => {
  node = await openNode('enroll', ['client', 'server']);
  await node.serve('server', 'tcp/8080', 'udp/8080');
  client = await startPython(node.pod('client'));
}, 60_000);
afterAll(() => node?.close(), 60_000);
beforeEach(async () => {
  expect(await node.kmeshctl('load')).toMatchObject({ code: 0 });
}, 60_000);
afterEach(() => unload(node.place.bpffs));

const inodeOf = (pod: string) => statSync(node.pod(pod).netns, { bigint: true }).ino;
const enroll = (pod: string, ...words: readonly string[]) => node.kmeshctl('enroll', node.pod(pod).cgroup, ...words);
const rows = async () => JSON.parse((await node.kmeshctl('enrolled', '-o', 'json')).out).rows;
const enforced = () => node.held((plane) => [...plane.enforced().keys()]);
const call = () => client.run<string>('out = list(calls(host, 8080, 1))[0]', { host: node.pod('server').address4 });
const done = { code: 0, err: '' };
const refused = (answer: Answer, code: string, hint: string) => {
  expect(answer.code).not.toBe(0);
  expect(answer.err).toContain(code);
  expect(answer.err).toContain(hint);
};
/** As an agent does that knows of no policy for the server, or of one that closes it. */
const writePolicies = (flags = 0) =>
  node.held((plane) => {
    plane.map('authz_stack').put([[1, { generation: 1, count: 0, flags, sets: new Array(2 * stackSets).fill(0) }]]);
    const { address4, address6 } = node.pod('server');
    for (const address of [address4, address6])
      plane.map('authz_dest').put([[address, { stack: 1, tag: addressTag(address) }]]);
  });

test('without an agent it must be said, and only one of the two words is', async () => {
  refused(await enroll('server'), 'KM_USAGE', '--authz off');
  refused(await enroll('server', '--authz', 'maybe'), 'KM_USAGE', 'on, off');
  expect(await rows()).toEqual([]);
  expect(await enroll('server', '--authz', 'off')).toMatchObject(done);
  expect(await rows()).toMatchObject([{ authz: 'off', detached: false }]);
  expect([await call(), enforced()]).toEqual(['server', []]);
  // What is enrolled already stays as it is.
  expect(await enroll('server', '--workload', 'shop/server')).toMatchObject(done);
  expect(await rows()).toMatchObject([{ authz: 'off', workload: 'shop/server' }]);
});

test('pending until policies are there, then on, then off again', async () => {
  const dry = await enroll('server', '--authz', 'on', '--dry-run');
  expect(dry).toMatchObject(done);
  expect(dry.out).toMatch(/attach +authorization +network namespace \d+/);
  expect([await call(), enforced()]).toEqual(['server', []]);

  const pending = await enroll('server', '--authz', 'on');
  expect(pending).toMatchObject(done);
  expect(pending.out).toContain('nothing gets in until its policies are known');
  expect(await rows()).toMatchObject([{ authz: 'pending', netns: Number(inodeOf('server')) }]);
  expect([await call(), enforced()]).toEqual(['ECONNREFUSED', [inodeOf('server')]]);
  expect(node.held((plane) => plane.udpHooks)).toBe(true);
  expect(node.held((plane) => plane.map('enrolled').get(cgroupId(node.pod('server').cgroup))?.flags)).toBe(2);

  writePolicies();
  expect(await rows()).toMatchObject([{ authz: 'on' }]);
  expect(await call()).toBe('server');
  expect((await node.kmeshctl('enrolled')).out).toMatch(/AUTHZ.*\n.* on +\d+ /);
  expect((await enroll('server')).out).toContain('already');

  node.held((plane) =>
    plane.map('frontend').put([
      [
        { addr: '10.96.0.1', port: 53, protocol: 17 },
        { backend_id: 1, tag: 1 },
      ],
    ]),
  );
  const off = await enroll('server', '--authz', 'off');
  expect(off.out).toContain('not judged any more');
  expect([await rows(), enforced()]).toMatchObject([[{ authz: 'off' }], []]);
  expect(node.held((plane) => plane.map('pod_address').count())).toBe(0);
  // A service needs them still.
  expect(node.held((plane) => plane.udpHooks)).toBe(true);
});

test('open connections are judged again when asked for: those before the enrolment too, those of the pod itself not', async () => {
  const { address4: host } = node.pod('server');
  const server = await startPython(node.pod('server'));
  await client.run(
    "early = dial(host, 8080); early_out = first_line(early); l = socket.create_server(('', 8081)); out = 1",
    {
      host,
    },
  );
  expect(await enroll('server', '--authz', 'on')).toMatchObject(done);
  writePolicies();
  await client.run('late = dial(host, 8080); first_line(late); out = 1', { host });
  await server.run('own = dial(host, 8081); out = 1', { host: node.pod('client').address4 });
  await client.run('peer = l.accept()[0]; out = 1');
  const recheck = () => node.held((plane) => plane.recheck([1n, inodeOf('server')]));
  const denied = () => node.held((plane) => [...plane.denied()]);
  expect([recheck(), denied()]).toEqual([[], []]);

  writePolicies(stackFlag.closed | stackFlag.allows | stackFlag.dryAllows);
  const why = reasons.indexOf('authz_closed');
  const record = { destination: host, destination_port: 8080, protocol: 6, why };
  expect(denied()).toEqual([inodeOf('server')]);
  expect(recheck()).toMatchObject([record, record]);
  expect([recheck(), denied()]).toEqual([[], []]);
  const states = `
out = []
for s in (early, late):
    try: out.append(s.recv(1).decode())
    except OSError as e: out.append(name_of(e))
peer.sendall(b'still\\n')`;
  expect(await client.run(states)).toEqual(['ECONNRESET', 'ECONNRESET']);
  expect(await server.run('out = first_line(own)')).toBe('still');
});

test('handshakes under way: judged at their end however long ago the change was, and ended when asked for', async () => {
  const host = node.pod('server').address4;
  const own = node.pod('client').address4;
  const server = await startPython(node.pod('server'));
  // A client that sends nothing of its own accord, and one as usual.
  await client.run(readFileSync(new URL('../support/raw.py', import.meta.url), 'utf8'));
  await server.run(`
l = socket.socket(); l.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 3000)
l.bind(("0.0.0.0", 8082)); l.listen()`);
  expect(await enroll('server', '--authz', 'on')).toMatchObject(done);
  writePolicies();
  const handshakes = () => node.held((plane) => plane.handshakes(inodeOf('server')));
  const recheck = () => node.held((plane) => plane.recheck([inodeOf('server')]));
  expect(handshakes()).toBe(false);
  await client.run('ends, waits = Handshake(own, host, 8082), dial(host, 8082); out = 1', { host, own });
  expect([handshakes(), recheck()]).toEqual([true, []]);

  writePolicies(stackFlag.closed | stackFlag.allows | stackFlag.dryAllows);
  node.held((plane) => plane.map('authz_state').put([[0, { changed_ns: 1n, flags: 0 }]]));
  const killed = () => node.held((plane) => plane.reasons().get('authz_handshake') ?? 0n);
  const before = killed();
  await client.run('ends.finish(b"late"); out = 1');
  await node.until(() => killed() > before);
  const record = { destination: host, destination_port: 8082, why: reasons.indexOf('authz_closed') };
  const found = recheck();
  expect(found).toMatchObject([record, record]);
  expect(new Set(found.map(({ flags }) => flags & (denialFlag.open | denialFlag.request)))).toEqual(
    new Set([denialFlag.open, denialFlag.request]),
  );
  expect([handshakes(), recheck()]).toEqual([false, []]);
  // The first is told at once, the other with its next packet.
  expect(await client.run('out = ends.fate(); ends.close()')).toBe('reset');
  const state = `
waits.settimeout(20); waits.sendall(b"late")
try: out = waits.recv(1).decode()
except OSError as e: out = name_of(e)
waits.close()`;
  expect(await client.run(state)).toBe('ECONNRESET');
  await server.run('l.close()');
});

test('while an agent runs it is on, unless there is no network of its own', async () => {
  const lock = await takeLock(node.place.runDir, { name: 'agent.lock', command: 'test' });
  try {
    expect(await enroll('server')).toMatchObject(done);
    expect(await rows()).toMatchObject([{ authz: 'pending' }]);
    refused(await enroll('server', '--netns', '/proc/self/ns/net'), 'KM_NETNS', '--authz off');
    refused(await enroll('client', '--netns', '/proc/self/ns/net'), "host's network", '--authz off');
    expect(await rows()).toHaveLength(1);
    expect(await enroll('client', '--netns', '/proc/self/ns/net', '--authz', 'off')).toMatchObject(done);
    expect(enforced()).toEqual([inodeOf('server')]);
  } finally {
    lock.release();
  }
});

test('a cgroup without processes does not tell its network', async () => {
  const { cgroup } = await node.lab.addPod('empty', {});
  refused(await node.kmeshctl('enroll', cgroup, '--authz', 'on'), 'KM_NETNS', '--netns');
  expect(await node.kmeshctl('enroll', cgroup, '--authz', 'on', '--netns', node.pod('empty').netns)).toMatchObject(
    done,
  );
  expect(enforced()).toEqual([inodeOf('empty')]);
  await node.lab.removePod('empty');
  // Gone without having been taken out.
  expect(enforced()).toEqual([]);
  expect(JSON.parse((await node.kmeshctl('enrolled', '--prune', '-o', 'json')).out)).toMatchObject({ pruned: 1 });
  expect(node.held((plane) => plane.map('pod_address').count())).toBe(0);
});

test('a network that two share stays judged while one of them wants that', async () => {
  const { netns } = node.pod('server');
  expect(await enroll('server', '--authz', 'on')).toMatchObject(done);
  expect(await enroll('client', '--authz', 'on', '--netns', netns)).toMatchObject(done);
  expect(await node.kmeshctl('unenroll', node.pod('client').cgroup)).toMatchObject(done);
  expect([await call(), enforced()]).toEqual(['ECONNREFUSED', [inodeOf('server')]]);
  expect(node.held((plane) => plane.udpHooks)).toBe(true);
  expect(await node.kmeshctl('unenroll', node.pod('server').cgroup)).toMatchObject(done);
  expect([await call(), enforced(), node.held((plane) => plane.udpHooks)]).toEqual(['server', [], false]);
});

test('what a command that was killed has attached, or what came off, is put right by the next', async () => {
  node.held((plane) => {
    const fd = openNetns(node.pod('client').netns);
    plane.enforce(fd);
    closeSync(fd);
  });
  expect(await enroll('server', '--authz', 'on')).toMatchObject(done);
  expect(enforced()).toEqual([inodeOf('server')]);
  node.held((plane) => plane.collect(new Set()));
  expect(await rows()).toMatchObject([{ detached: true }]);
  expect(await enroll('server')).toMatchObject(done);
  expect([await rows(), await call()]).toMatchObject([[{ authz: 'pending', detached: false }], 'ECONNREFUSED']);
});

test("exec: a command in a network of its own can be judged, one in the host's cannot", async () => {
  const exec = (...words: readonly string[]) => node.kmeshctl('exec', '--workload', 'a/b', ...words);
  const netns = ['--netns', node.pod('server').netns];
  refused(await exec(...netns, '--', 'true'), 'KM_USAGE', '--authz off');
  refused(await exec('--authz', 'on', '--', 'true'), 'KM_NETNS', '--authz off');
  expect(await exec('--', 'true')).toMatchObject(done);
  const running = exec(...netns, '--authz', 'on', '--', 'sleep', '600');
  await node.until(async () => (await call()) === 'ECONNREFUSED');
  const [{ cgroupId: id }] = await rows();
  expect(enforced()).toEqual([inodeOf('server')]);
  node.held((plane) => expect(plane.map('enrolled').get(BigInt(id))?.flags).toBe(2));
  const { cgroupRoot } = node.place;
  const own = readdirSync(cgroupRoot).find((name) => name.startsWith('kmesh-exec')) as string;
  process.kill(Number(readFileSync(join(cgroupRoot, own, 'cgroup.procs'), 'utf8')), 'SIGTERM');
  expect(await running).toMatchObject({ code: 143 });
  expect([await call(), enforced()]).toEqual(['server', []]);
});

test('check names pods that came off, programs of others, and devices that were not found', async () => {
  const findings = async (): Promise<{ what: string; state: string; detail?: string }[]> => {
    const { groups } = JSON.parse((await node.kmeshctl('check', '-o', 'json')).out);
    return groups.find(({ title }: { title: string }) => title === 'Authorization').checks;
  };
  expect(await findings()).toMatchObject([{ state: 'ok', detail: 'none' }]);
  expect(await enroll('server', '--authz', 'on', '--workload', 'shop/server')).toMatchObject(done);
  expect(await findings()).toMatchObject([
    { state: 'ok', detail: '1' },
    { what: 'shop/server', state: 'ok' },
  ]);

  const netns = openNetns(node.pod('server').netns);
  const program = loadForeign();
  const link = attachNetns('foreign', program, netns);
  const [, foreign] = await findings();
  expect(foreign).toMatchObject({ state: 'warning', detail: expect.stringMatching(/of others: foreign \(id \d+\)/) });
  for (const fd of [link, program, netns]) closeSync(fd);

  node.held((plane) => plane.collect(new Set()));
  const [, off] = await findings();
  expect(off).toMatchObject({ what: 'shop/server', state: 'failed' });
  expect((await node.kmeshctl('check')).code).toBe(1);
  expect((await node.kmeshctl('enrolled')).out).toContain('came off');

  const { cgroup } = await node.lab.addPod('alone', {});
  const path = node.pod('alone').netns;
  execFileSync('ip', ['-n', basename(path), 'link', 'del', 'eth0']);
  const words = ['enroll', cgroup, '--netns', path, '--authz', 'on'];
  expect((await node.kmeshctl(...words)).out).toContain('was not found');
  expect((await findings()).find(({ what }) => what === cgroup)).toMatchObject({ state: 'warning' });
  await node.lab.removePod('alone');
});

/** An sk_lookup program that passes everything. */
function loadForeign(): number {
  const options = stableBytes(104);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(options.length), true);
  view.setUint32(12, lookupHook.attachType, true);
  const code = stableBytes(16);
  code.set([0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95]);
  const fd = libbpf().bpf_prog_load(lookupHook.programType, 'foreign', 'GPL', code, 2, options);
  expect(fd).toBeGreaterThan(0);
  return fd;
}
