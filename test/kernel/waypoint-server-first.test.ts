// SPDX-License-Identifier: Apache-2.0
// Servers that speak first at a pod's own address, behind a waypoint of the pod: refused at once, or heard past it, never silence.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AgentProcess, type Node, openNode } from '../support/node.ts';
import { type Python, startPython } from '../support/python.ts';

let node: Node;
let agent: AgentProcess;
let client: Python;
let way: Python;

/** At each of these the pod greets whoever comes; at 8080 it waits. */
const greeting = [25, 3306, 13306];
const serve = `
import socket, threading
def greet(c):
    with c:
        c.sendall(b"hello\\n")
        while c.recv(100): pass
def listen(port):
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True: threading.Thread(target=greet, args=s.accept()[:1], daemon=True).start()
for p in ports: threading.Thread(target=listen, args=(p,), daemon=True).start()`;

const pod = (name: string, more = '') => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: shop, labels: {app: ${name}${more}}}
spec: {nodeName: n1, serviceAccountName: me, containers: [{name: main}]}
status:
  phase: Running
  podIPs: [{ip: ${node.pod(name).address4}}, {ip: "${node.pod(name).address6}"}]
  conditions: [{type: Ready, status: "True"}]
`;
const gateway = () => `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: way, namespace: shop, labels: {istio.io/waypoint-for: all}}
spec:
  gatewayClassName: kmesh-waypoint
  listeners: [{name: mesh, port: 15088, protocol: istio.io/PROXY}]
  addresses: [{type: IPAddress, value: ${node.pod('way').address4}}]
`;
/** Leads port 80 to `target`; `port` is what it says of that. */
const service = (target: number, port = '', annotations = '') => `---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop, annotations: {${annotations}}}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 80, targetPort: ${target}${port}}]}
`;

function write(more = ''): void {
  node.write('mesh.yaml', pod('client') + pod('way') + pod('db', ', istio.io/use-waypoint: way') + gateway() + more);
}

async function start(...words: string[]): Promise<void> {
  agent = node.startAgent({ words });
  await node.ready();
}

async function restart(...words: string[]): Promise<void> {
  expect(await agent.end('SIGTERM')).toBe(0);
  await start(...words);
}

beforeAll(async () => {
  node = await openNode('first', ['client', 'way', 'db']);
  await (await startPython(node.pod('db'))).run(serve, { ports: greeting });
  await node.serve('db', 'tcp/8080');
  way = await startPython(node.pod('way'));
  await way.run('from waypoint_server import Waypoint; proxy = Waypoint(15088); from waypoint_client import *');
  write();
  await start();
  for (const name of ['client', 'way']) {
    const words = [node.pod(name).cgroup, '--workload', `shop/${name}`, '--authz', 'off'];
    expect(await node.kmeshctl('enroll', ...words)).toMatchObject({ code: 0 });
  }
  client = await startPython(node.pod('client'));
  await client.run('from waypoint_client import *');
}, 120_000);
afterAll(() => node?.close());

/** "heard": the greeting; "waypoint": it asked for a line and the waypoint answered; else the errno's name. By both families. */
const code = `
def ask(host, port):
    try: s = connect(host, port)
    except OSError as e: return errno.errorcode[e.errno]
    with s:
        # Not at once, or nobody would notice that the server waits.
        s.settimeout(0.2)
        try: said = s.recv(20)
        except TimeoutError: said = None
        s.settimeout(20)
        if said is None:
            s.sendall(b"a?\\n")
            said = s.recv(20)
        return {b"hello\\n": "heard", b"line\\n": "waypoint"}.get(said, "another")
out = [[p, *sorted({ask(h, p) for h in hosts})] for p in ports]`;
const ports = [25, 3306, 13306, 8080];

async function asked(who = client): Promise<unknown> {
  const { address4, address6 } = node.pod('db');
  return who.run(code, { hosts: [address4, address6], ports });
}

const refused = 'ECONNREFUSED';
const counted = () => node.held((plane) => Object.fromEntries(plane.reasons()));

test('known numbers are refused at once, others go through the waypoint', async () => {
  const before = counted();
  expect(await asked()).toEqual([
    [25, refused],
    [3306, refused],
    [13306, 'waypoint'],
    [8080, 'waypoint'],
  ]);
  const after = counted();
  expect(Number(after.server_first) - Number(before.server_first)).toBe(4);
  // What the waypoint itself calls goes past it.
  expect(await asked(way)).toEqual([
    [25, 'heard'],
    [3306, 'heard'],
    [13306, 'heard'],
    [8080, 'another'],
  ]);
});

test('a service that leads there says it, and the change counts at once', async () => {
  const until = (expected: unknown) =>
    node.until(async () => JSON.stringify(await asked()) === JSON.stringify(expected));
  const others = [
    [25, refused],
    [3306, refused],
  ];
  write(service(13306, ', appProtocol: mysql'));
  await until([...others, [13306, refused], [8080, 'waypoint']]);
  write(service(13306, ', appProtocol: http'));
  await until([...others, [13306, 'waypoint'], [8080, 'waypoint']]);
  write(service(13306, '', 'kmesh.net/server-first: "80"'));
  await until([...others, [13306, refused], [8080, 'waypoint']]);
  write(service(25, ', appProtocol: http'));
  await until([
    [25, 'waypoint'],
    [3306, refused],
    [13306, 'waypoint'],
    [8080, 'waypoint'],
  ]);
  write();
  await until([...others, [13306, 'waypoint'], [8080, 'waypoint']]);
});

test('--server-first-ports adds numbers, more than a slot holds; explain says why, by the model and by the kernel', async () => {
  const more = Array.from({ length: 40 }, (_, i) => 13_306 + i);
  await restart('--server-first-ports', more.join());
  expect(await asked()).toEqual([...[25, 3306, 13306].map((p) => [p, refused]), [8080, 'waypoint']]);
  const explain = async (port: number) => {
    const { out } = await node.kmeshctl(
      'explain',
      '--from',
      String(client.pid),
      '--to',
      `${node.pod('db').address4}:${port}`,
    );
    return out;
  };
  expect(await explain(13_307)).toMatch(/the server speaks first on port 13307 \(by its number\).*so refused/);
  expect(await explain(13_307)).toMatch(/the server speaks first on this port/);
  expect(await explain(8080)).not.toMatch(/speaks first/);
  const rows = JSON.parse((await node.kmeshctl('dump', 'maps', 'endpoint', '-o', 'json')).out);
  expect(JSON.stringify(rows)).toContain('13345');
  expect((await node.kmeshctl('dump', 'diff')).code).toBe(0);
});

test('--server-first direct: heard, past the waypoint', async () => {
  await restart('--server-first', 'direct');
  const before = counted();
  expect(await asked()).toEqual([
    [25, 'heard'],
    [3306, 'heard'],
    [13306, 'waypoint'],
    [8080, 'waypoint'],
  ]);
  expect(Number(counted().server_first_direct) - Number(before.server_first_direct)).toBe(4);
  // What the kernel holds is found again.
  await restart('--server-first', 'direct');
  expect((await node.client.status({})).lastApply?.operations).toBe(0);
});
