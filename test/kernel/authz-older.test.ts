// SPDX-License-Identifier: Apache-2.0
// Connections that are older than the enrolment: those that peers opened are judged again, those of the pod's own are not.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AuthzLab, allowNothing, openAuthzLab } from '../support/authz-lab.ts';

let lab: AuthzLab;

beforeAll(async () => {
  lab = await openAuthzLab('older', ['server', 'peer']);
  await lab.node.serve('peer', 'tcp/8080');
}, 120_000);
afterAll(() => lab?.close());

/** Listeners at 7001 and on: one as usual, one without a backlog, one that is gone by then, one of both families. */
const listening = `
import os, struct
names = ["usual", "short", "gone", "both"]
def opened(i, name):
    s = socket.socket(socket.AF_INET6 if name == "both" else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::" if name == "both" else "0.0.0.0", 7001 + i))
    s.listen(0 if name == "short" else 5)
    return s
listeners = {name: opened(i, name) for i, name in enumerate(names)}
def is_open(s):
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1
out = True`;

test('at the first policies inbound ones end and outbound ones go on', async () => {
  await lab.run('server', listening);
  await lab.run('peer', 'conns = [socket.create_connection((host, 7001 + i)) for i in range(4)]; out = True', {
    host: lab.address('server'),
  });
  const outbound = `
conns = {name: s.accept()[0] for name, s in listeners.items()}
listeners["gone"].close()
mine = [socket.create_connection((peer, 8080))]
# From a port that it named itself, and to the pod itself.
mine.append(socket.create_connection((peer, 8080), source_address=("0.0.0.0", 7100)))
mine.append(socket.create_connection((me, 7001)))
mine.append(listeners["usual"].accept()[0])
mine.append(socket.create_connection(("127.0.0.1", 7001)))
mine.append(listeners["usual"].accept()[0])
out = [is_open(s) for s in [*conns.values(), *mine]]`;
  const args = { peer: lab.address('peer'), me: lab.address('server') };
  expect(await lab.run('server', outbound, args)).toEqual(Array(10).fill(true));
  await lab.policies(allowNothing);
  await lab.enforce('server');
  const held = () => lab.run<boolean[]>('server', 'out = [is_open(s) for s in conns.values()]');
  await expect.poll(held, { timeout: 60_000 }).toEqual([false, false, false, false]);
  expect(await lab.run('server', 'out = [is_open(s) for s in mine]')).toEqual(Array(6).fill(true));
  // The peer was told.
  const told = `
def outcome(s):
    s.settimeout(10)
    try: return len(s.recv(1))
    except OSError as e: return errno.errorcode[e.errno]
import errno
out = [outcome(s) for s in conns]`;
  expect(await lab.run('peer', told)).toEqual(Array(4).fill('ECONNRESET'));
}, 120_000);
