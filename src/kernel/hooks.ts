// SPDX-License-Identifier: Apache-2.0
// The hooks programs are attached to, under the names of the programs.

export interface Hook {
  readonly name: string;
  /** enum bpf_prog_type */
  readonly programType: number;
  /** enum bpf_attach_type */
  readonly attachType: number;
}

/** enum bpf_prog_type */
export const programType = { cgroupSock: 9, sockOps: 13, skMsg: 16, cgroupSockAddr: 18, skLookup: 30 } as const;

const address = (name: string, attachType: number): Hook => ({
  name,
  programType: programType.cgroupSockAddr,
  attachType,
});

/** Every hook of a cgroup. */
export const hooks: readonly Hook[] = [
  { name: 'sock_create', programType: programType.cgroupSock, attachType: 2 },
  { name: 'sock_ops', programType: programType.sockOps, attachType: 3 },
  address('connect4', 10),
  address('connect6', 11),
  address('sendmsg4', 14),
  address('sendmsg6', 15),
  address('recvmsg4', 19),
  address('recvmsg6', 20),
  address('getpeername4', 29),
  address('getpeername6', 30),
];

/** On network namespaces of single pods. */
export const lookupHook = { name: 'authz', programType: programType.skLookup, attachType: 36 } as const satisfies Hook;

/** Programs on the host's side of the links of single pods, which are those of struct __sk_buff. */
export const deviceHooks = [
  { name: 'spoof', hook: 'tcx/ingress', attachType: 46 },
  { name: 'no_group', hook: 'tcx/egress', attachType: 47 },
] as const;

/** On the sockets of the map waypoint_sock. */
export const messageHook = {
  name: 'waypoint_msg',
  programType: programType.skMsg,
  attachType: 7,
  map: 'waypoint_sock',
} as const satisfies Hook & { map: string };

/** Programs that are attached to the network of single pods, each under a folder of its links. */
export const podPrograms = [lookupHook.name, ...deviceHooks.map(({ name }) => name)] as const;

/** True for programs that load does not attach for the whole node. */
export function isPodProgram(program: string): boolean {
  return (podPrograms as readonly string[]).includes(program);
}
