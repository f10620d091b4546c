// SPDX-License-Identifier: Apache-2.0
// Waypoints, endpoints and pods exchange their addresses under connections that are opened all the time, and agents are killed meanwhile: whoever
// reads headers reads one, first and of the caller, nobody else gets one, and nothing that was called goes past its waypoint.
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BulkState, bulkYaml } from '../support/bulk.ts';
import { type AgentProcess, type Node, openNode } from '../support/node.ts';
import { type Python, startPython } from '../support/python.ts';
import { waiting } from '../support/via.ts';

const ROUNDS = 4;
const SERVICES = 300;
const pods = ['a', 'b', 'c', 'd'] as const;
/** Of the pod whose name stands at the same place: a waypoint; behind it; without one; without one at the very port where waypoints read headers. */
const roles = ['way', 'cart', 'open', 'bare'] as const;
type Order = readonly string[];

let node: Node;
let agent: AgentProcess;
let client: Python;

const podYaml = (name: string, role: string, address: string): string => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {role: ${role}}}
spec: {nodeName: n1, serviceAccountName: ${name}, containers: [{name: main}]}
status: {phase: Running, podIPs: [{ip: ${address}}], conditions: [{type: Ready, status: "True"}]}
`;
const serviceYaml = (role: string, address: string, targetPort: number, labels = ''): string => `---
apiVersion: v1
kind: Service
metadata: {name: ${role}, namespace: shop, labels: {${labels}}}
spec: {clusterIP: ${address}, selector: {role: ${role}}, ports: [{name: tcp, port: 80, targetPort: ${targetPort}}]}
`;

/** Pods keep their names and roles; each has the address of the pod of the lab that stands at its place. */
function meshYaml(order: Order): string {
  const gateway = `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: way, namespace: shop}
spec:
  gatewayClassName: kmesh-waypoint
  listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]
  addresses: [{type: Hostname, value: way.shop.svc.cluster.local}]
`;
  return [
    podYaml('client', 'client', node.pod('client').address4),
    ...roles.map((role, i) => podYaml(`${role}-0`, role, node.pod(order[i] as string).address4)),
    gateway,
    serviceYaml('way', '10.96.0.9', 15088),
    serviceYaml('cart', '10.96.0.1', 9000, 'istio.io/use-waypoint: way'),
    serviceYaml('open', '10.96.0.2', 9000),
    serviceYaml('bare', '10.96.0.3', 15088),
  ].join('');
}

/** Says at each port how many headers came, where the first one began, and who it tells of. */
const server = `
import json
SIGNATURE = b"\\r\\n\\r\\n\\0\\r\\nQUIT\\n"
def serve(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(1024)
    def one(s):
        try:
            s.settimeout(20)
            data = b""
            while not data.endswith(b"x" * 40):
                part = s.recv(65536)
                if not part: return
                data += part
            said = [data.count(SIGNATURE), data.find(SIGNATURE), b"spiffe://cluster.local/ns/shop/sa/client" in data]
            s.sendall(json.dumps([me, port, said]).encode())
        except OSError: pass
        finally: s.close()
    def accept():
        while True: threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
for port in (9000, 15088): serve(port)
out = 0`;

const load = `
import json, collections
stop, log = False, collections.deque()
def call(host, port):
    with socket.socket() as s:
        try:
            s.settimeout(20)
            s.connect((host, port))
            s.sendall(b"x" * 40)
            data = s.recv(1000)
            return json.loads(data) if data else "closed"
        except OSError as e: return name_of(e)
def run(i):
    targets = [("10.96.0.%d" % (i % 3 + 1), 80)] if i < 6 else [(host, 15088) for host in hosts]
    while not stop:
        for host, port in targets:
            began = time.monotonic()
            log.append([host, port, call(host, port), began, time.monotonic()])
            time.sleep(0.002)
runners = [threading.Thread(target=run, args=(i,)) for i in range(7)]
for r in runners: r.start()
out = 0`;

type Said = readonly [pod: string, port: number, header: readonly [count: number, at: number, mine: boolean]] | string;
type Call = readonly [host: string, port: number, said: Said, began: number, ended: number];

const own = [1, 0, true];
const none = [0, -1, false];

beforeAll(async () => {
  node = await openNode('moves', ['client', ...pods]);
  for (const name of pods) await (await startPython(node.pod(name))).run(`import threading\nme = "${name}"${server}`);
}, 120_000);
afterAll(() => node?.close(), 120_000);

const hostOf = (name: string): string => node.pod(name).address4;

/** What may come of a call while the pods are in this order. */
function isRight([host, port, said]: Call, order: Order): boolean {
  const [way, cart, open, bare] = order as [string, string, string, string];
  const to = (pod: string, at: number, header: readonly unknown[]): boolean =>
    JSON.stringify(said) === JSON.stringify([pod, at, header]);
  if (host === '10.96.0.1') return to(way, 15088, own);
  if (host === '10.96.0.2') return to(open, 9000, none);
  if (host === '10.96.0.3') return to(bare, 15088, none);
  if (host === hostOf(way)) return said === 'ECONNREFUSED';
  return [cart, open, bare].some((pod) => host === hostOf(pod) && to(pod, port, none));
}

test('each connection is one of before or of after, and nothing in between', async () => {
  let order: Order = pods;
  let state: BulkState = 'a';
  node.write('mesh.yaml', meshYaml(order));
  node.write('bulk.yaml', bulkYaml(SERVICES, state));
  agent = node.startAgent();
  await node.ready();
  const words = [node.pod('client').cgroup, '--workload', 'shop/client', '--authz', 'off'];
  expect(await node.kmeshctl('enroll', ...words)).toMatchObject({ code: 0 });
  client = await startPython(node.pod('client'));
  const now = () => client.run<number>('out = time.monotonic()');
  const taken = () => client.run<Call[]>('out = [log.popleft() for _ in range(len(log))]');
  await client.run(`import threading\n${load}`, { hosts: pods.map(hostOf) });

  /**
   * Every call since it was asked last is right by one of these orders; the last ones by the last of them. Meanwhile a service is refused whose
   * endpoint is where headers are read before or after that.
   */
  const settled = async (orders: readonly Order[]): Promise<void> => {
    const last = orders.at(-1) as Order;
    const seen = new Map<string, number>();
    let rightSince = await now();
    await node.until(async () => {
      for (const call of await taken()) {
        const isClosed = orders.length > 1 && call[0] === '10.96.0.3' && call[2] === 'ECONNREFUSED';
        if (!isClosed && !orders.some((one) => isRight(call, one))) throw new Error(JSON.stringify({ call, orders }));
        if (isRight(call, last)) seen.set(`${call[0]}`, (seen.get(call[0]) ?? 0) + 1);
        else {
          seen.clear();
          rightSince = call[4];
        }
      }
      return seen.size === 7 && [...seen.values()].every((n) => n > 20) && (await now()) > rightSince + 0.2;
    });
  };

  await settled([order]);
  for (let round = 0; round < ROUNDS; round++) {
    const before = order;
    order = round % 2 === 0 ? [...before.slice(1), before[0] as string] : [...before].reverse();
    state = state === 'a' ? 'b' : 'a';
    node.write('mesh.yaml', meshYaml(order));
    node.write('bulk.yaml', bulkYaml(SERVICES, state));
    if (round % 2 === 1) {
      await pause(Math.random() * 300);
      expect(await agent.end('SIGKILL')).toBe(null);
      await pause(Math.random() * 100);
      agent = node.startAgent();
    }
    await settled([before, order]);
    await node.ready();
    await settled([order]);
  }
  await client.run('stop = True\nfor r in runners: r.join()\nout = 0');
  expect((await node.kmeshctl('dump', 'diff')).code).toBe(0);
  await node.until(() => node.held(waiting) === 0);
}, 300_000);
