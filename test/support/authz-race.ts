// SPDX-License-Identifier: Apache-2.0
// A client that tries all the time whether it gets in, while something else happens.
import type { AuthzLab } from './authz-lab.ts';

export interface RaceReport {
  /** When each that got in began, in ns of CLOCK_MONOTONIC. */
  readonly in: readonly number[];
  /** When each that was refused ended: one that begins later than that must not get in. */
  readonly refused: readonly number[];
  /** Of whatever else came, the errno's name and how often. */
  readonly other: Readonly<Record<string, number>>;
}

export interface Race {
  /** Waits until it has tried so many times more, over each way. */
  more(times: number): Promise<void>;
  end(): Promise<RaceReport>;
}

const CODE = `
class Race:
    def __init__(self, host4, host6, port):
        self.stop, self.lock = False, threading.Lock()
        self.got, self.refused, self.other = [], [], {}
        ways = [lambda: self.tcp(host4, port), lambda: self.tcp(host6, port), lambda: tell(host4, port, timeout=10)]
        self.tried = [0 for _ in ways]
        self.threads = [threading.Thread(target=self.loop, args=(i, way)) for i, way in enumerate(ways)]
        for t in self.threads: t.start()
    def tcp(self, host, port):
        with dial(host, port, timeout=10) as s:
            # By a reset: the client's ports would run out.
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return first_line(s)
    def loop(self, i, way):
        while not self.stop:
            began = time.monotonic_ns()
            try:
                way(); into = self.got
            except OSError as e:
                into = self.refused if name_of(e) == "ECONNREFUSED" else name_of(e)
            with self.lock:
                if into is self.got: into.append(began)
                elif into is self.refused: into.append(time.monotonic_ns())
                else: self.other[into] = self.other.get(into, 0) + 1
                self.tried[i] += 1
            time.sleep(0.002)
    def end(self):
        self.stop = True
        for t in self.threads: t.join()
        return {"in": sorted(self.got), "refused": sorted(self.refused), "other": self.other}
`;

/** Starts trying, over TCP of both families and datagrams, from one pod to another. One at a time for each pod. */
export async function startRace(lab: AuthzLab, from: string, to: string, port = 8080): Promise<Race> {
  const args = { host4: lab.address(to), host6: lab.address(to, 6), port };
  await lab.run(from, `${CODE}\nrace = Race(host4, host6, port)`, args);
  const tried = () => lab.run<number[]>(from, 'out = race.tried');
  return {
    async more(times) {
      const before = await tried();
      await lab.node.until(async () => (await tried()).every((n, i) => n >= (before[i] ?? 0) + times));
    },
    end: () => lab.run<RaceReport>(from, 'out = race.end()'),
  };
}
