// SPDX-License-Identifier: Apache-2.0
// To a version whose maps have another layout and back again, each way by that version's own kmeshctl, under load.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addressTag } from '../../src/abi/hash.ts';
import { stackFlag, stackSets } from '../../src/abi/structs.ts';
import { entryYaml } from '../support/bulk.ts';
import { startLoad } from '../support/load.ts';
import { type Node, openNode } from '../support/node.ts';
import { normalise } from '../support/normalise.ts';
import { buildOther, type Edit, type OtherBuild } from '../support/other-build.ts';
import { startPython } from '../support/python.ts';

const abi = 'bpf/include/kmesh/abi.h';
const abiAuthz = 'bpf/include/kmesh/abi-authz.h';
const structs = 'src/abi/structs.ts';
/** Members come, go and change places; socket storage takes words of its reserve. */
const edits: readonly Edit[] = [
  { file: 'package.json', from: /"version": ".*"/, to: '"version": "77.0.0"' },
  { file: abi, from: /#define KM_ABI_VERSION .*/, to: '#define KM_ABI_VERSION 77' },
  { file: structs, from: /abiVersion = \d+/, to: 'abiVersion = 77' },
  { file: abi, from: /(struct km_client \{\n)(.*\n)(.*\n)(.*\n)/, to: '$1$3$2\t__u64 made_ns;\n$4' },
  { file: abi, from: /KM_SIZE\(km_client, .*/, to: 'KM_SIZE(km_client, 48);' },
  {
    file: structs,
    from: 'addr4: addr, addr6: addr, namespace_id: u32, flags',
    to: 'addr6: addr, addr4: addr, made_ns: u64, namespace_id: u32, flags',
  },
  { file: abi, from: /(struct km_affinity \{\n)/, to: '$1\t__u64 made_ns;\n' },
  { file: abi, from: /KM_SIZE\(km_affinity, .*/, to: 'KM_SIZE(km_affinity, 40);' },
  { file: structs, from: "struct('km_affinity', {", to: "struct('km_affinity', { made_ns: u64," },
  { file: abi, from: /(struct km_active \{\n)/, to: '$1\t__s64 most;\n' },
  { file: abi, from: /KM_SIZE\(km_active, .*/, to: 'KM_SIZE(km_active, 16);' },
  { file: structs, from: "struct('km_active', {", to: "struct('km_active', { most: s64," },
  { file: abi, from: /(struct km_backend_header \{\n.*\n.*\n)(.*\n)(.*\n)/, to: '$1$3$2' },
  { file: structs, from: /( {2}service_id: u32,\n)( {2}count: u32,\n)/, to: '$2$1' },
  { file: abi, from: /(\t__u32 workload_id;\n)(\t__u32 threshold;.*\n)(\t__u32 alias;\n)/, to: '$1$3$2' },
  { file: structs, from: /( {2}threshold: u32,\n)( {2}alias: u32,\n)/, to: '$2$1' },
  { file: abi, from: /(struct km_miss \{\n)/, to: '$1\t__u64 first_ns;\n' },
  { file: abi, from: /KM_SIZE\(km_miss, .*/, to: 'KM_SIZE(km_miss, 24);' },
  { file: structs, from: "struct('km_miss', {", to: "struct('km_miss', { first_ns: u64," },
  { file: 'bpf/maps/miss.bpf.h', from: 'max_entries, 65536', to: 'max_entries, 131072' },
  { file: 'src/kernel/sizes.ts', from: 'misses: 65536', to: 'misses: 131072' },
  { file: abiAuthz, from: /(struct km_authz_stack \{\n)/, to: '$1\t__u32 more;\n' },
  { file: abiAuthz, from: /KM_SIZE\(km_authz_stack, .*/, to: 'KM_SIZE(km_authz_stack, 140);' },
  { file: structs, from: "struct('km_authz_stack', {", to: "struct('km_authz_stack', { more: u32," },
  { file: abiAuthz, from: /(struct km_pod \{\n)(.*\n)(.*\n)/, to: '$1$3$2' },
  { file: structs, from: /netns: u32, host_netns: u32,/, to: 'host_netns: u32, netns: u32,' },
  { file: abi, from: /(struct km_setting \{\n)(.*\n)(.*\n)(.*\n)/, to: '$1$4$2$3' },
  { file: structs, from: 'abi_version: u32, flags: u32, ports: u64', to: 'ports: u64, abi_version: u32, flags: u32' },
  { file: abi, from: /\t__u16 reserved;/, to: '\t__u16 extra;' },
  { file: structs, from: 'reserved: u16', to: 'extra: u16' },
];
const converted = ['active', 'affinity', 'authz_stack', 'client', 'endpoint', 'miss', 'pod_address', 'setting'];
const key = { client: 7n, backend_id: 9 };
const asked = { since_ns: 7n, state: 2 };
const remembered = { used_ns: 5n, addr: '10.0.0.9', workload_id: 3, port: 80 };

let node: Node;
let other: OtherBuild;

/** The client is a pod of this node, so that the map `client` holds something. */
const pod = (name: string) => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop}
spec: {nodeName: n1, containers: [{name: main}]}
status: {phase: Running, podIPs: [{ip: ${node.pod(name).address4}}], conditions: [{type: Ready, status: "True"}]}
`;
/** So that something is in the map `waypoint_port`, and in the filter of `setting`. */
const gateway = `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: way, namespace: shop}
spec:
  gatewayClassName: kmesh-waypoint
  listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]
  addresses: [{type: IPAddress, value: 192.0.2.1}]
`;
const open = () => node.held((plane) => [...plane.map('active').entries()].reduce((n, [, v]) => n + v.connections, 0n));

beforeAll(async () => {
  other = buildOther(edits);
  node = await openNode('layout', ['client', 'one', 'two', 'shut', 'open']);
  for (const name of ['one', 'two', 'shut', 'open']) await node.serve(name, 'tcp/9000', 'udp/9000');
  const endpoints = ['one', 'two'].map((name) => ({ address: node.pod(name).address4 }));
  const cart = entryYaml({ name: 'cart', address: '10.96.0.1', endpoints, targetPort: 9000, udp: true });
  node.write('mesh.yaml', cart + pod('client') + gateway);
}, 180_000);
afterAll(async () => {
  await node?.close();
  other?.close();
}, 120_000);

test('everything is converted by name, and no call fails', async () => {
  const agent = node.startAgent();
  await node.ready();
  const enrolled = await node.kmeshctl(
    'enroll',
    node.pod('client').cgroup,
    '--workload',
    'shop/client',
    '--authz',
    'off',
  );
  expect(enrolled).toMatchObject({ code: 0 });
  node.held((plane) => plane.map('affinity').put([[key, remembered]]));
  node.held((plane) => plane.map('miss').put([['fd00::5', asked]]));
  const before = node.held((plane) => ({ contents: normalise(plane), sock: plane.info('sock').id }));
  expect(Object.keys(before.contents.clients)).toHaveLength(1);
  expect(before.contents.ports).toHaveProperty(['192.0.2.1:15088']);
  expect(before.contents.portFilter).not.toBe('0');
  const load = await startLoad(node.pod('client'), { host: '10.96.0.1', port: 80, udp: true });

  // The agent of this version keeps its hands off maps that it does not know.
  const there = await node.run(other.program, 'upgrade', '-o', 'json');
  expect(there, there.err).toMatchObject({ code: 0 });
  const steps: { action: string; what: string; detail: string }[] = JSON.parse(there.out).steps;
  expect(steps.filter((s) => s.detail?.endsWith('converted')).map((s) => s.what.replace('map ', ''))).toEqual(
    expect.arrayContaining(converted),
  );
  expect(steps.find((s) => s.what === 'map misses')?.detail).toContain('starts anew');
  const refused = await node.kmeshctl('dump', 'services');
  expect(refused.err).toContain('KM_VERSION_MISMATCH');
  const unknown = await node.kmeshctl('enroll', node.pod('one').cgroup, '--authz', 'off');
  expect(unknown.code).toBe(1);
  expect(await agent.end('SIGTERM')).toBe(0);

  const second = node.startAgent({ program: other.program });
  await node.ready();
  expect((await node.client.status({})).lastApply?.operations).toBe(0);
  const between = await load.calls();
  await node.until(async () => (await load.calls()) > between + 100);
  expect(await second.end('SIGTERM')).toBe(0);

  expect(await node.kmeshctl('upgrade')).toMatchObject({ code: 0 });
  const third = node.startAgent();
  await node.ready();
  expect((await node.client.status({})).lastApply?.operations).toBe(0);
  const after = node.held((plane) => ({ contents: normalise(plane), sock: plane.info('sock').id }));
  expect(after).toEqual(before);
  expect(node.held((plane) => plane.map('affinity').get(key))).toEqual(remembered);
  expect(node.held((plane) => plane.map('miss').get('fd00::5'))).toEqual(asked);

  expect(open()).toBeGreaterThanOrEqual(1n);
  const { failures, answers, calls } = await load.end();
  expect(failures).toEqual({});
  expect(Object.keys(answers).sort()).toEqual(['one', 'two']);
  expect(calls).toBeGreaterThan(200);
  await node.until(() => open() === 0n);
  expect(await third.end('SIGTERM')).toBe(0);
}, 240_000);

test('pods that are judged stay so at every moment, with the same verdicts', async () => {
  for (const name of ['shut', 'open']) {
    expect(await node.kmeshctl('enroll', node.pod(name).cgroup, '--authz', 'on')).toMatchObject({ code: 0 });
  }
  const sets = Array.from({ length: 2 * stackSets }, (_, i) => i);
  const contents = () =>
    node.held((plane) =>
      (['authz_stack', 'authz_dest', 'pod_address'] as const).map((map) => new Map(plane.map(map).entries())),
    );
  node.held((plane) => {
    plane.map('authz_stack').put([
      [1, { generation: 1, count: 0, flags: stackFlag.closed | stackFlag.allows | stackFlag.dryAllows, sets }],
      [2, { generation: 2, count: 0, flags: 0, sets }],
    ]);
    for (const [i, name] of ['shut', 'open'].entries()) {
      const { address4 } = node.pod(name);
      plane.map('authz_dest').put([[address4, { stack: i + 1, tag: addressTag(address4) }]]);
    }
  });
  const before = contents();
  const client = await startPython(node.pod('client'));
  await client.run(
    `
going, outcomes = True, {}
def go():
    while going:
        for host in hosts:
            for name, n in calls(host, 9000, 1).items(): outcomes[host + ' ' + name] = outcomes.get(host + ' ' + name, 0) + n
thread = threading.Thread(target=go)
thread.start()
out = 1`,
    { hosts: ['shut', 'open'].map((name) => node.pod(name).address4) },
  );
  expect((await node.run(other.program, 'upgrade')).err).toBe('');
  expect((await node.kmeshctl('upgrade')).err).toBe('');
  const outcomes = await client.run<Record<string, number>>('going = False\nthread.join()\nout = outcomes');
  expect(Object.keys(outcomes).sort()).toEqual(
    [`${node.pod('open').address4} open`, `${node.pod('shut').address4} ECONNREFUSED`].sort(),
  );
  expect(contents()).toEqual(before);
}, 120_000);
