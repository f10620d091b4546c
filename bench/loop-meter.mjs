// SPDX-License-Identifier: Apache-2.0
// Loaded before the agent by benchmarks: at SIGUSR2 writes the longest hold-up of the event loop since the last time, in milliseconds, and
// when the bytes of responses came, by their place in the stream.
import { openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import koffi from 'koffi';

const file = process.env.KMESH_LOOP_METER;
const everyMs = 1;
/** Milliseconds that the main thread was ready to run and had no CPU: the neighbours' doing. */
const schedstat = openSync('/proc/self/schedstat', 'r');
const text = Buffer.alloc(128);
const waited = () => Number(text.latin1Slice(0, readSync(schedstat, text, 0, text.length, 0)).split(' ')[1]) / 1e6;

/** Milliseconds that the main thread was on a CPU: what it waited for, other threads too, does not count. */
const clockGettime = koffi.load('libc.so.6').func('int clock_gettime(int, void *)');
const time = new BigInt64Array(2);
const threadClock = 3;
const onCpu = () => {
  clockGettime(threadClock, time);
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
};

/** Of the last stream: how many bytes had come, when (milliseconds of the monotonic clock), and `waited` by then. */
let arrivals = [];

/** Notes each piece as HTTP/2 hands it on, before anybody reads it: right after the socket was read. */
function noteArrivals() {
  const { connect } = http2;
  http2.connect = (...words) => {
    const session = connect(...words);
    const { request } = session;
    session.request = (...asked) => {
      const stream = request.apply(session, asked);
      const { push } = stream;
      const mine = [];
      arrivals = mine;
      let bytes = 0;
      stream.push = (piece, ...more) => {
        if (piece !== null) {
          bytes += piece.length;
          mine.push([bytes, Number(process.hrtime.bigint()) / 1e6, waited()]);
        }
        return push.call(stream, piece, ...more);
      };
      return stream;
    };
    return session;
  };
}

if (file !== undefined) {
  noteArrivals();
  let last = performance.now();
  let lastWaited = waited();
  let longest = 0;
  let own = 0;
  let lastOnCpu = onCpu();
  let busy = 0;
  setInterval(() => {
    const [now, nowWaited, nowOnCpu] = [performance.now(), waited(), onCpu()];
    const gap = now - last - everyMs;
    longest = Math.max(longest, gap);
    own = Math.max(own, gap - (nowWaited - lastWaited));
    busy = Math.max(busy, nowOnCpu - lastOnCpu);
    [last, lastWaited, lastOnCpu] = [now, nowWaited, nowOnCpu];
  }, everyMs).unref();
  process.on('SIGUSR2', () => {
    writeFileSync(`${file}.new`, JSON.stringify({ longest, own, busy, arrivals }));
    renameSync(`${file}.new`, file);
    [longest, own, busy] = [0, 0, 0];
    arrivals.length = 0;
  });
}
