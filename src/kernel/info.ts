// SPDX-License-Identifier: Apache-2.0
// What the kernel says of a map, program, link or BTF (BPF_OBJ_GET_INFO_BY_FD); offsets are those of linux/bpf.h.
import { closeSync } from 'node:fs';
import { KmeshError } from '../errors.ts';
import { failure, libbpf, stableBytes } from './libbpf.ts';

export interface MapInfo {
  readonly type: number;
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly name: string;
  /** 0: the map has no BTF. */
  readonly btfId: number;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

export interface ProgramInfo {
  readonly type: number;
  readonly id: number;
  /** Cut to 15 characters by the kernel. */
  readonly name: string;
  readonly tag: string;
  readonly mapIds: readonly number[];
  readonly jitedBytes: number;
  /** Only counted while statistics are on (kernel.bpf_stats_enabled or enableStats). */
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
  readonly verifiedInstructions: number;
}

export interface LinkInfo {
  readonly id: number;
  readonly programId: number;
  /** 0 once the cgroup is gone. Meaningful for cgroup links only, as is the attach type. */
  readonly cgroupId: bigint;
  readonly attachType: number;
  /** Inode of a network namespace, or index of a device; 0 once that is gone. Meaningful for links on those only. */
  readonly target: number;
}

const textAt = (bytes: Uint8Array, offset: number, length: number): string => {
  const end = bytes.indexOf(0, offset);
  const stop = end < 0 || end > offset + length ? offset + length : end;
  return Buffer.from(bytes.buffer, bytes.byteOffset + offset, stop - offset).toString('utf8');
};

/** Asks once; `info` holds what to fill in on the way in, the answer on the way out. */
function ask(fd: number, info: Uint8Array, what: string): DataView {
  const answer = libbpf().bpf_obj_get_info_by_fd(fd, info, Uint32Array.of(info.length));
  if (answer < 0) throw new KmeshError('KM_INTERNAL', `information on ${what} could not be read: ${failure(answer)}`);
  return new DataView(info.buffer);
}

/** The map behind `fd`. */
export function mapInfo(fd: number): MapInfo {
  const bytes = stableBytes(88);
  const view = ask(fd, bytes, 'a map');
  const u32 = (offset: number) => view.getUint32(offset, true);
  return {
    type: u32(0),
    id: u32(4),
    keySize: u32(8),
    valueSize: u32(12),
    maxEntries: u32(16),
    flags: u32(20),
    name: textAt(bytes, 24, 16),
    btfId: u32(64),
    keyTypeId: u32(68),
    valueTypeId: u32(72),
  };
}

const programInfoSize = 232;
const maxMapIds = 64;

/** The program behind `fd`. */
export function programInfo(fd: number): ProgramInfo {
  const bytes = stableBytes(programInfoSize);
  const ids = stableBytes(4 * maxMapIds);
  const view = new DataView(bytes.buffer);
  view.setUint32(52, maxMapIds, true);
  view.setBigUint64(56, libbpf().address(ids), true);
  ask(fd, bytes, 'a program');
  const u32 = (offset: number) => view.getUint32(offset, true);
  const idView = new DataView(ids.buffer);
  return {
    type: u32(0),
    id: u32(4),
    tag: Buffer.from(bytes.subarray(8, 16)).toString('hex'),
    name: textAt(bytes, 64, 16),
    jitedBytes: u32(16),
    mapIds: Array.from({ length: Math.min(u32(52), maxMapIds) }, (_, i) => idView.getUint32(4 * i, true)),
    runTimeNs: view.getBigUint64(192, true),
    runCount: view.getBigUint64(200, true),
    verifiedInstructions: u32(216),
  };
}

/** The link behind `fd`. */
export function linkInfo(fd: number): LinkInfo {
  const view = ask(fd, stableBytes(128), 'a link');
  return {
    id: view.getUint32(4, true),
    programId: view.getUint32(8, true),
    cgroupId: view.getBigUint64(16, true),
    attachType: view.getUint32(24, true),
    target: view.getUint32(16, true),
  };
}

/** The raw BTF with that id. */
export function btfBytes(id: number): Uint8Array {
  const fd = libbpf().bpf_btf_get_fd_by_id(id);
  if (fd < 0) throw new KmeshError('KM_INTERNAL', `BTF ${id} could not be opened: ${failure(fd)}`);
  try {
    const sized = ask(fd, stableBytes(32), 'BTF');
    const data = stableBytes(sized.getUint32(8, true));
    const info = stableBytes(32);
    const view = new DataView(info.buffer);
    view.setBigUint64(0, libbpf().address(data), true);
    view.setUint32(8, data.length, true);
    ask(fd, info, 'BTF');
    return data;
  } finally {
    closeSync(fd);
  }
}
