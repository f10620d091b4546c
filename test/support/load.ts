// SPDX-License-Identifier: Apache-2.0
// Clients that call all the time and keep a record: short TCP connections, one that stays, and datagrams.
import type { Pod } from '../../src/demo/lab.ts';
import { startPython } from './python.ts';

/** What came of the calls: how often each answer, or an errno's name, was seen. */
export interface LoadReport {
  readonly calls: number;
  /** Answers by the server's name. */
  readonly answers: Readonly<Record<string, number>>;
  /** By kind of call: errnos, and peers that are not the address that was dialled. */
  readonly failures: Readonly<Record<string, number>>;
}

export interface Load {
  /** Calls made so far. */
  calls(): Promise<number>;
  /** Ends the loops, closes the sockets. */
  end(): Promise<LoadReport>;
}

const CODE = `
def calling(action):
    while not stop.is_set():
        try:
            who, peer = action()
            into, what = (answers, who) if peer == (host, port) else (failures, "%s: peer %s:%s" % (action.__name__, *peer))
        except OSError as e:
            into, what = failures, "%s: %s" % (action.__name__, name_of(e))
        with lock: into[what] = into.get(what, 0) + 1
        time.sleep(pause)
def short():
    with dial(host, port, timeout=30) as s:
        # Closed by a reset, most of them: the client's ports would run out.
        if random.random() < 0.95: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return first_line(s).split()[0], s.getpeername()[:2]
def steady():
    return echo(kept, "x").split()[0], kept.getpeername()[:2]
def datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(30); s.sendto(b"x", (host, port)); data, source = s.recvfrom(99)
        return data.decode().split()[0], source[:2]
def flow():
    flowing.sendto(b"x", (host, port)); data, source = flowing.recvfrom(99)
    return data.decode().split()[0], source[:2]
import random
stop, lock, answers, failures = threading.Event(), threading.Lock(), {}, {}
kept = dial(host, port, timeout=30); first_line(kept)
actions = [short, short, steady]
if udp:
    flowing = socket.socket(type=socket.SOCK_DGRAM); flowing.settimeout(30)
    actions += [datagram, flow]
threads = [threading.Thread(target=calling, args=(a,)) for a in actions]
for t in threads: t.start()
`;
const END = `
stop.set()
for t in threads: t.join()
kept.close()
out = {"calls": sum(answers.values()) + sum(failures.values()), "answers": answers, "failures": failures}
`;

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  /** Datagrams to the same address and port as well. */
  readonly udp?: boolean;
  /** Of each of the loops between two calls; default 1. */
  readonly pauseMs?: number;
}

/** Starts calling from a pod. It goes with the lab. */
export async function startLoad(pod: Pod, { host, port, udp = false, pauseMs = 1 }: LoadOptions): Promise<Load> {
  const python = await startPython(pod);
  await python.run(CODE, { host, port, udp, pause: pauseMs / 1000 });
  return {
    calls: () => python.run<number>('out = sum(answers.values()) + sum(failures.values())'),
    end: () => python.run<LoadReport>(END),
  };
}
