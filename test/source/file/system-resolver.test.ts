// SPDX-License-Identifier: Apache-2.0
// Names through a real name server, a small one on the loopback.
import { createSocket } from 'node:dgram';
import { expect, onTestFinished, test } from 'vitest';
import { systemResolver } from '../../../src/source/system-resolver.ts';

type Record = readonly [type: 1 | 28, ttl: number, address: readonly number[]];

/** Answers each question with the records of its type; 'none' says that the name does not exist, 'silent' nothing. */
async function serve(answer: (name: string, type: number) => readonly Record[] | 'none' | 'silent'): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (query, peer) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] as number; length > 0; length = query[at] as number) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const found = answer(labels.join('.'), query.readUInt16BE(at + 1));
    if (found === 'silent') return;
    const records = found === 'none' ? [] : found;
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(found === 'none' ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(records.length, 6);
    head.writeUInt16BE(0, 10);
    const answers = records.map(([type, ttl, address]) => {
      const record = Buffer.alloc(12);
      record.writeUInt16BE(0xc00c, 0);
      record.writeUInt16BE(type, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(ttl, 6);
      record.writeUInt16BE(address.length, 10);
      return Buffer.concat([record, Buffer.from(address)]);
    });
    socket.send(Buffer.concat([head, query.subarray(12, at + 5), ...answers]), peer.port, peer.address);
  });
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
  onTestFinished(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

const signal = new AbortController().signal;
const v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

test('addresses of both families, for as long as the shortest record holds', async () => {
  const server = await serve((_, type) =>
    type === 28
      ? [[28, 40, v6]]
      : [
          [1, 60, [192, 0, 2, 1]],
          [1, 30, [192, 0, 2, 2]],
        ],
  );
  expect(await systemResolver([server])('a.example.com', signal)).toEqual({
    addresses: ['192.0.2.1', '192.0.2.2', '2001:db8::9'],
    ttl: 30,
  });
});

test('a family that has no records is none; one that is not answered for is named', async () => {
  const none = await serve((_, type) => (type === 28 ? [] : [[1, 60, [192, 0, 2, 1]]]));
  expect(await systemResolver([none])('a.example.com', signal)).toEqual({ addresses: ['192.0.2.1'], ttl: 60 });
  const silent = await serve((_, type) => (type === 28 ? 'silent' : [[1, 60, [192, 0, 2, 1]]]));
  expect(await systemResolver([silent])('a.example.com', signal)).toEqual({
    addresses: ['192.0.2.1'],
    ttl: 60,
    unanswered: 6,
  });
}, 30_000);

test('what only the machine knows is found there; what nobody knows is a failure', async () => {
  const resolve = systemResolver([await serve(() => 'none')]);
  expect((await resolve('localhost', signal)).addresses).toContain('127.0.0.1');
  await expect(resolve('nobody.invalid', signal)).rejects.toThrow('nobody.invalid');
}, 30_000);
