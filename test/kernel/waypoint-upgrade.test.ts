// SPDX-License-Identifier: Apache-2.0
// Connections through a waypoint that have not sent anything yet, while programs of another layout come and go, agents too: each has its
// header once, or is ended.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Node, openNode } from '../support/node.ts';
import { buildOther, type OtherBuild } from '../support/other-build.ts';
import { type Python, startPython } from '../support/python.ts';

const abi = 'bpf/include/kmesh/abi.h';
const structs = 'src/abi/structs.ts';
/** What the header is made of stands elsewhere, and other maps grow. */
const edits = [
  { file: abi, from: /(struct km_waypoint_client \{\n)/, to: '$1\t__u32 more;\n' },
  { file: abi, from: /KM_SIZE\(km_waypoint_client, 8/, to: 'KM_SIZE(km_waypoint_client, 12' },
  { file: structs, from: "struct('km_waypoint_client', {", to: "struct('km_waypoint_client', { more: u32," },
  { file: 'src/kernel/sizes.ts', from: /waypoint_service: \d+/, to: 'waypoint_service: 20_000' },
];

let node: Node;
let other: OtherBuild;
let client: Python;
let way: Python;

const mesh = () => `
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec: {nodeName: n1, serviceAccountName: me, containers: [{name: main}]}
status: {phase: Running, podIPs: [{ip: ${node.pod('client').address4}}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: way, namespace: shop}
spec:
  gatewayClassName: kmesh-waypoint
  listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]
  addresses: [{type: IPAddress, value: ${node.pod('way').address4}}]
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: way}}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
`;

beforeAll(async () => {
  other = buildOther(edits);
  node = await openNode('wayup', ['client', 'way']);
  node.write('mesh.yaml', mesh());
  way = await startPython(node.pod('way'));
  await way.run('from waypoint_server import Waypoint; proxy = Waypoint(15088)');
}, 180_000);
afterAll(async () => {
  await node?.close();
  other?.close();
}, 120_000);

/** Some threads that open connections, wait a moment, and then send for the first time; some of these go on when all is over. */
const load = `
from waypoint_client import *
import random
stop, fates, kept = False, {}, []
def use(s):
    try: return short(s)["header"]["parts"].get("d0", "nobody")
    except OSError as e: return name_of(e)
def run(seed):
    dice = random.Random(seed)
    while not stop:
        try:
            s = connect("10.96.0.1", 80)
            if dice.random() < 0.05:
                kept.append(s)
                continue
            time.sleep(dice.random() * 0.2)
            fate = use(s)
        except OSError as e: fate = name_of(e)
        fates[fate] = fates.get(fate, 0) + 1
runners = [threading.Thread(target=run, args=(i,)) for i in range(6)]
for r in runners: r.start()
out = 0`;

test('each has its header', async () => {
  let agent = node.startAgent();
  await node.ready();
  const words = [node.pod('client').cgroup, '--workload', 'shop/client', '--authz', 'off'];
  expect(await node.kmeshctl('enroll', ...words)).toMatchObject({ code: 0 });
  client = await startPython(node.pod('client'));
  const spiffe = 'spiffe://cluster.local/ns/shop/sa/me';
  await node.until(async () => {
    const code =
      'from waypoint_client import *\ntry: out = short(connect("10.96.0.1", 80))["header"]["parts"]["d0"]\nexcept OSError: out = ""';
    return (await client.run(code)) === spiffe;
  });
  await client.run(load);
  const more = async () => {
    const count = () => client.run<number>('out = sum(fates.values())');
    const before = await count();
    await node.until(async () => (await count()) > before + 30);
  };
  await more();
  const there = await node.run(other.program, 'upgrade');
  expect(there, there.err).toMatchObject({ code: 0 });
  expect(await agent.end('SIGTERM')).toBe(0);
  await more();
  agent = node.startAgent({ program: other.program });
  await node.ready();
  await more();
  expect(await agent.end('SIGKILL')).toBe(null);
  const back = await node.kmeshctl('upgrade');
  expect(back, back.err).toMatchObject({ code: 0 });
  await more();
  agent = node.startAgent();
  await node.ready();
  const next = node.startAgent({ words: ['--take-over'] });
  await node.until(() => agent.child.exitCode !== null);
  await node.ready();
  await more();
  const code = `stop = True
for r in runners: r.join()
out = [fates, len(kept), {fate: n for fate in {use(s) for s in kept} for n in [1]}]`;
  const [fates, kept, late] = await client.run<[Record<string, number>, number, Record<string, number>]>(code);
  expect(fates).toEqual({ [spiffe]: expect.any(Number) });
  expect(kept).toBeGreaterThan(3);
  expect(late).toEqual({ [spiffe]: 1 });
  const headers = await way.run<unknown[]>('out = [r["header"] for r in proxy.log]');
  for (const header of headers) expect(header).toMatchObject({ kind: 'proxy' });
  expect(await next.end('SIGTERM')).toBe(0);
}, 240_000);
