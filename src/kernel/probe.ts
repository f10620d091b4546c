// SPDX-License-Identifier: Apache-2.0
// What this kernel can do, asked feature by feature rather than guessed from its version.
import { closeSync, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { type MapType, maps } from '../abi/maps.ts';
import { KmeshError } from '../errors.ts';
import { deviceHooks, type Hook, hooks, lookupHook, messageHook } from './hooks.ts';
import { mapTypeCode } from './layout-check.ts';
import { failure, type Libbpf, libbpf, stableBytes } from './libbpf.ts';

export interface Feature {
  readonly name: string;
  readonly present: boolean;
  /** The mesh works without it, with what `without` says missing. */
  readonly without?: string;
  /** Why not: an errno name. */
  readonly reason?: string;
}

export interface KernelFacts {
  /** "6.18.0" */
  readonly release: string;
  /** /sys/kernel/btf/vmlinux is there. */
  readonly btf: boolean;
  /** "1.1" */
  readonly libbpf: string;
  readonly jit: boolean;
  readonly hooks: readonly Feature[];
  readonly mapTypes: readonly Feature[];
  readonly helpers: readonly Feature[];
  /** Kernel functions and iterators, by their BTF. */
  readonly functions: readonly Feature[];
}

/** Helper, hook whose programs call it, enum bpf_func_id. */
const helpers: readonly (readonly [string, string, number])[] = [
  ['bpf_sk_storage_get', 'connect4', 107],
  ['bpf_sk_storage_get (sock_create)', 'sock_create', 107],
  ['bpf_get_socket_cookie', 'connect4', 46],
  ['bpf_get_prandom_u32', 'connect4', 7],
  ['bpf_ktime_get_ns', 'connect4', 5],
  ['bpf_ringbuf_output', 'connect4', 130],
  ['bpf_set_retval', 'connect4', 187],
  ['bpf_skc_to_mptcp_sock', 'connect4', 196],
  ['bpf_sock_ops_cb_flags_set', 'sock_ops', 59],
  ['bpf_sock_hash_update', 'sock_ops', 70],
  ['bpf_msg_push_data', messageHook.name, 90],
  ['bpf_sk_storage_get (waypoint_msg)', messageHook.name, 107],
];

/** BPF_TRACE_ITER finds "bpf_iter_NAME", BPF_TRACE_FENTRY the function itself. */
const iterator = 28;
const plain = 24;
const functions: readonly (readonly [string, number, string?])[] = [
  ['bpf_rdonly_cast', plain],
  ['bpf_sk_storage_map', iterator],
  ['tcp', iterator],
  ['udp', iterator],
  [
    'bpf_sock_destroy',
    plain,
    'connected UDP sockets keep talking to an endpoint that is gone, and connections that a policy denies by now stay open',
  ],
];

/** mov r0, 1; exit */
const returnOne = [0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
/** call helper */
const call = (id: number) => [0x85, 0, 0, 0, id & 0xff, id >> 8, 0, 0];
const logSize = 4096;
/** How verifiers of one age or another say that a helper is not for this program. */
const refusedHelper = /unknown func|invalid func|cannot use helper/;

/** Tries to load a program: errno '' when it loads, else its name and what the verifier said. */
function tryLoad(bpf: Libbpf, hook: Hook, code: readonly number[]): { readonly errno: string; readonly log: string } {
  // struct bpf_prog_load_opts: sz, attempts, expected_attach_type, …, log_level, log_size, log_buf
  const options = stableBytes(104);
  const log = stableBytes(logSize);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(options.length), true);
  view.setUint32(12, hook.attachType, true);
  view.setUint32(88, 1, true);
  view.setUint32(92, logSize, true);
  view.setBigUint64(96, bpf.address(log), true);
  const instructions = stableBytes(code.length);
  instructions.set(code);
  const fd = bpf.bpf_prog_load(hook.programType, 'km_probe', 'GPL', instructions, code.length / 8, options);
  if (fd < 0) return { errno: failure(fd), log: Buffer.from(log).toString('latin1') };
  closeSync(fd);
  return { errno: '', log: '' };
}

function probeHook(bpf: Libbpf, hook: Hook): Feature {
  const { errno } = tryLoad(bpf, hook, returnOne);
  return errno === '' ? { name: hook.name, present: true } : { name: hook.name, present: false, reason: errno };
}

const withoutPods = 'inbound connections cannot be judged: enroll --authz on is refused';
/** lo */
const anyDevice = 1;

/** The hooks of single pods: those of devices came with Linux 6.6. */
function probePodHooks(bpf: Libbpf): Feature[] {
  const devices = deviceHooks.map(({ hook, attachType }) => {
    const ids = new Uint32Array(64);
    const answer = bpf.bpf_prog_query(anyDevice, attachType, 0, new Uint32Array(1), ids, Uint32Array.of(ids.length));
    return { name: hook, present: answer >= 0, ...(answer < 0 ? { reason: failure(answer) } : {}) };
  });
  return [{ ...probeHook(bpf, lookupHook), name: 'sk_lookup' }, ...devices].map((feature) => ({
    ...feature,
    without: withoutPods,
  }));
}

/** True when programs of `hook` may call the helper: a call without arguments is refused for its arguments only. */
export function hasHelper(hook: string, id: number): boolean {
  const found = [...hooks, messageHook].find(({ name }) => name === hook);
  return found !== undefined && !refusedHelper.test(tryLoad(libbpf(), found, [...call(id), ...returnOne]).log);
}

/** libbpf answers 1, 0, or why it cannot tell. */
function answered(name: string, answer: number): Feature {
  if (answer === 1) return { name, present: true };
  return { name, present: false, ...(answer < 0 ? { reason: failure(answer) } : {}) };
}

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8').trim() : '');

/** Loads some twenty tiny programs and maps; needs root. */
export function probeKernel(): KernelFacts {
  const bpf = libbpf();
  const types = [...new Set(Object.values(maps).map((map) => map.type))];
  return {
    release: release(),
    btf: existsSync('/sys/kernel/btf/vmlinux'),
    libbpf: bpf.libbpf_version_string().replace(/^v/, ''),
    jit: textOf('/proc/sys/net/core/bpf_jit_enable') !== '0',
    hooks: [...[...hooks, messageHook].map((hook) => probeHook(bpf, hook)), ...probePodHooks(bpf)],
    mapTypes: types.map((type: MapType) => answered(type, bpf.libbpf_probe_bpf_map_type(mapTypeCode[type], null))),
    helpers: helpers.map(([name, hook, id]) => ({ name, present: hasHelper(hook, id) })),
    functions: functions.map(([name, kind, without]) => {
      const id = bpf.libbpf_find_vmlinux_btf_id(name, kind);
      return {
        name: kind === iterator ? `iter/${name}` : name,
        present: id > 0,
        ...(without === undefined ? {} : { without }),
      };
    }),
  };
}

/** Version of libbpf ("1.1"), or why it cannot be loaded. */
export function probeLibbpf(): { readonly version: string } | { readonly fault: KmeshError } {
  try {
    return { version: libbpf().libbpf_version_string().replace(/^v/, '') };
  } catch (cause) {
    if (cause instanceof KmeshError) return { fault: cause };
    throw cause;
  }
}

/** Bits of linux/capability.h, with what each is for here. */
const capabilities = [
  ['CAP_BPF', 39, 'create maps, load programs'],
  ['CAP_PERFMON', 38, 'load programs that read kernel memory'],
  ['CAP_NET_ADMIN', 12, 'attach programs to sockets and cgroups'],
  ['CAP_SYS_ADMIN', 21, 'enter network namespaces, open maps by id'],
  ['CAP_DAC_READ_SEARCH', 2, 'find a cgroup by its id'],
] as const;

export interface Capability {
  readonly name: string;
  readonly held: boolean;
  readonly use: string;
}

/** Effective capabilities from the text of /proc/self/status. */
export function capabilitiesOf(status: string): Capability[] {
  const mask = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  return capabilities.map(([name, bit, use]) => ({ name, held: ((mask >> BigInt(bit)) & 1n) === 1n, use }));
}

/** Those of this process. */
export function probeCapabilities(): Capability[] {
  return capabilitiesOf(readFileSync('/proc/self/status', 'utf8'));
}
