// SPDX-License-Identifier: Apache-2.0
// BPF_PROG_TEST_RUN: a program is given a context, or a packet, and what it answers comes back.
import koffi from 'koffi';
import { stableBytes } from '../../src/kernel/libbpf.ts';

const library = koffi.load('libbpf.so.1');
const testRun = library.func('int bpf_prog_test_run_opts(int, void *)');

/** struct bpf_test_run_opts */
const size = 80;
const at = {
  size: 0,
  dataIn: 8,
  dataSizeIn: 24,
  contextIn: 32,
  contextSizeIn: 48,
  answer: 56,
  repeat: 60,
  duration: 64,
};

export interface Run {
  readonly answer: number;
  /** Of one run on average, in nanoseconds. */
  readonly duration: number;
}

export interface Given {
  readonly context?: Uint8Array;
  /** A packet, from its Ethernet header on. */
  readonly packet?: Uint8Array;
  readonly repeat?: number;
}

export function runProgram(fd: number, { context, packet, repeat = 1 }: Given): Run {
  const opts = stableBytes(size);
  const view = new DataView(opts.buffer);
  const give = (bytes: Uint8Array | undefined, pointer: number, length: number) => {
    if (bytes === undefined) return;
    view.setBigUint64(pointer, koffi.address(bytes), true);
    view.setUint32(length, bytes.length, true);
  };
  view.setBigUint64(at.size, BigInt(size), true);
  give(context, at.contextIn, at.contextSizeIn);
  give(packet, at.dataIn, at.dataSizeIn);
  view.setInt32(at.repeat, repeat, true);
  const failed = testRun(fd, opts) as number;
  if (failed < 0) throw new Error(`the program could not be run: ${failed}`);
  return { answer: view.getInt32(at.answer, true), duration: view.getUint32(at.duration, true) };
}

export interface Lookup {
  readonly protocol: 'tcp' | 'udp';
  /** 16 bytes each; asked as IPv4 when both are. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly port: number;
}

const isMapped = (bytes: Uint8Array) =>
  bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 255 && bytes[11] === 255;

/** struct bpf_sk_lookup, whose IPv4 addresses lie before the IPv6 ones. The interface cannot be given: it is none. */
export function lookupContext({ protocol, source, destination, sourcePort, port }: Lookup): Uint8Array {
  const bytes = stableBytes(72);
  const view = new DataView(bytes.buffer);
  const v4 = isMapped(source) && isMapped(destination);
  view.setUint32(8, v4 ? 2 : 10, true);
  view.setUint32(12, protocol === 'tcp' ? 6 : 17, true);
  if (v4) {
    bytes.set(source.subarray(12), 16);
    bytes.set(destination.subarray(12), 40);
  } else {
    bytes.set(source, 20);
    bytes.set(destination, 44);
  }
  view.setUint16(36, sourcePort, false);
  view.setUint32(60, port, true);
  return bytes;
}
