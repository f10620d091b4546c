// SPDX-License-Identifier: Apache-2.0
// One table for each struct of bpf/include/kmesh/abi.h.
import { addr, be16, bytes, none, pad, s64, scalar, struct, u8, u16, u16s, u32, u32s, u64, u64s } from './layout.ts';

export const enrolledValue = struct('km_enrolled', { workload_id: u32, flags: u32 });
/** Words of km_level.filter. */
export const filterWords = 64;
export const levelValue = struct('km_level', { mask: u64, epoch: u64, filter: u64s(filterWords) });
export const clientValue = struct('km_client', { addr4: addr, addr6: addr, namespace_id: u32, flags: u32 });
export const enrolmentNameLength = 320;
export const enrolmentValue = struct('km_enrolment', {
  netns: u64,
  since_ns: u64,
  level: u32,
  authz: u32,
  workload: bytes(enrolmentNameLength),
});
export const frontendKey = struct('km_frontend_key', { addr, port: be16, protocol: u8, pad: pad(1) });
export const frontendValue = struct('km_frontend', { backend_id: u32, tag: u32 });
/** prefix 0: an exact address; else the bits (of 128) of the range that starts at addr. */
export const variantKey = struct('km_variant_key', { addr, port: be16, protocol: u8, prefix: u8, namespace_id: u32 });
export const cidrKey = struct('km_cidr_key', { prefixlen: u32, port: be16, protocol: u8, pad: pad(1), addr });
export const backendValue = struct('km_backend', { first: u32, generation: u32 });
export const backendHeader = struct('km_backend_header', {
  backend_id: u32,
  generation: u32,
  service_id: u32,
  count: u32,
  maglev_first: u32,
  maglev_size: u32,
  affinity_seconds: u32,
  policy: u8,
  flags: u8,
  pad: pad(2),
});
/** At first + 1 + count of a header with backendFlag.via. */
export const backendVia = struct('km_backend_via', { backend_id: u32, flags: u32, listed: u32, pad: pad(20) });
/** Ports in a slot of km_via_ports. */
export const listedInSlot = 16;
/** Behind that, as many as list its ports. */
export const viaPorts = struct('km_via_ports', { ports: u16s(listedInSlot) });
/** Slots of so many ports. */
export const slotsOfListed = (ports: number): number => Math.ceil(ports / listedInSlot);
export const endpointValue = struct('km_endpoint', {
  addr,
  port: be16,
  flags: u16,
  workload_id: u32,
  threshold: u32,
  alias: u32,
});
export const maglevValue = struct('km_maglev', { index: u32s(2) });
export const sockValue = struct('km_sock', {
  cgroup_id: u64,
  workload_id: u32,
  flags: u32,
  orig_addr: addr,
  backend_addr: addr,
  orig_port: be16,
  backend_port: be16,
  backend_id: u32,
  peer_workload_id: u32,
  generation: u32,
  epoch: u64,
  service_id: u32,
  header: u16,
  pad: pad(2),
  start: u32,
  length: u32,
  pages: u64,
  digest: u32,
  digest_more: u16,
  reserved: u16,
});
export const affinityKey = struct('km_affinity_key', { client: u64, backend_id: u32, pad: pad(4) });
export const affinityValue = struct('km_affinity', {
  used_ns: u64,
  addr,
  workload_id: u32,
  port: be16,
  pad: pad(2),
});
export const udpKey = struct('km_udp_key', { cookie: u64, addr, port: be16, pad: pad(2), pad2: pad(4) });
export const udpFlowValue = struct('km_udp_flow', {
  addr,
  port: be16,
  pad: pad(2),
  backend_id: u32,
  index: u32,
  workload_id: u32,
});
export const udpReverseValue = struct('km_udp_reverse', { addr, port: be16, pad: pad(2), pad2: pad(4) });
export const activeValue = struct('km_active', { connections: s64 });
/** Room for the type-length-value parts in a PROXY header: of the client, of the service. */
export const clientTlvs = 592;
export const serviceTlvs = 328;
export const waypointClient = struct('km_waypoint_client', { id: u32, length: u32, tlvs: bytes(clientTlvs) });
export const waypointService = struct('km_waypoint_service', { id: u32, length: u32, tlvs: bytes(serviceTlvs) });
export const missValue = struct('km_miss', { since_ns: u64, state: u32, pad: pad(4) });
export const missRecord = struct('km_miss_record', { addr, since_ns: u64, state: u32, pad: pad(4) });
export const authzDest = struct('km_authz_dest', { stack: u32, tag: u32 });
/** Places in km_authz_stack.sets. */
export const stackSets = 16;
/** sets: set id and destination vector of each in turn. */
export const authzStack = struct('km_authz_stack', {
  generation: u32,
  count: u16,
  flags: u16,
  sets: u32s(2 * stackSets),
});
/** ends: in words; usual and base: by dimension. */
export const authzSet = struct('km_authz_set', {
  generation: u32,
  ends: bytes(4),
  used: u32,
  member: u32,
  usual: u32s(4),
  base: u32s(4),
  anonymous: u32,
  pad: pad(4),
});
export const authzSource = struct('km_authz_source', { identity: u32, tag: u32 });
/** value: identity id, or port with `valuePort` set. */
export const authzValueKey = struct('km_authz_value_key', { set: u32, value: u32 });
export const authzValue = struct('km_authz_value', { vector: u32, tag: u32 });
export const authzRangeKey = struct('km_authz_range_key', { prefixlen: u32, set: u32, addr });
export const authzRange = struct('km_authz_range', { vector: u32, set: u32 });
export const authzHit = struct('km_authz_hit', { denied: u64, allowed: u64, dry: u64 });
export const denialLimit = struct('km_denial_limit', { since_ns: u64, records: u32, lost: u32 });
export const authzState = struct('km_authz_state', { changed_ns: u64, flags: u32, pad: pad(4) });
export const podValue = struct('km_pod', { netns: u32, host_netns: u32, ifindex: u32, flags: u32 });
export const sentKey = struct('km_sent_key', { netns: u32, local_port: be16, peer_port: be16, peer: addr });
export const listeningValue = struct('km_listening', { session: u64, ports: u64 });
export const denialRecord = struct('km_denial', {
  time_ns: u64,
  source: addr,
  destination: addr,
  source_port: be16,
  destination_port: be16,
  protocol: u8,
  why: u8,
  flags: u16,
  policy: u32,
  dry_policy: u32,
  identity: u32,
  lost: u32,
});
export const nameKey = struct('km_name_key', { id: u32, kind: u16, part: u16 });
export const namePartLength = 60;
export const nameValue = struct('km_name', { length: u32, text: bytes(namePartLength) });
export const settingValue = struct('km_setting', { abi_version: u32, flags: u32, ports: u64 });
export const sockRecord = struct('km_sock_record', {
  cookie: u64,
  workload_id: u32,
  flags: u32,
  backend_id: u32,
  peer_workload_id: u32,
  service_id: u32,
  pad: pad(4),
});
export const oldRecord = struct('km_old_record', {
  cookie: u64,
  cgroup_id: u64,
  local: addr,
  remote: addr,
  local_port: be16,
  remote_port: be16,
  protocol: u8,
  state: u8,
  pad: pad(2),
});
export const deniedRecord = struct('km_denied_record', { peer: addr, netns: u32, pad: pad(4) });
/** A map key that is an address. */
export const addressKey = scalar('km_addr', addr);
export const u32Key = scalar('__u32', u32);
export const u32Value = scalar('__u32', u32);
export const u64Key = scalar('__u64', u64);
export const u64Value = scalar('__u64', u64);
/** Of maps without keys. */
export const nothing = scalar('void', none);

/** KM_ABI_VERSION: raised when programs of one version cannot use maps of another. */
export const abiVersion = 1;

/** Special backend ids of struct km_frontend. */
export const backendNone = 0;
export const backendVariant = 0xffffffff;

/** enum km_policy */
export const policyCode = { random: 0, 'round-robin': 1, 'least-request': 2, 'source-hash': 3 } as const;
/** Bits of km_backend_header.flags */
export const backendFlag = { passthrough: 1, emptyDirect: 2, via: 4 } as const;
/** Bits of km_backend_via.flags */
export const viaFlag = { direct: 1, refuse: 2, listedDirect: 4 } as const;
/** Bits of km_endpoint.flags: the header that a waypoint's endpoint wants */
export const endpointFlag = { proxy: 1, kmesh: 2 } as const;
/** Bits of km_sock.flags */
export const sockFlag = {
  enrolled: 1,
  translated: 2,
  counted: 4,
  udp: 8,
  flows: 16,
  subflow: 32,
  enforced: 64,
  accepted: 128,
  waypoint: 256,
  via: 512,
  armed: 1024,
  header: 2048,
  ended: 4096,
} as const;
/** Bits of km_setting.flags */
export const settingFlag = { cidr: 1, onDemand: 2, missRefuse: 4, anyPort: 8, portsFull: 16 } as const;
/** Bits of km_client.flags */
export const clientFlag = { node: 1 } as const;
/** Bits of a value of waypoint_port */
export const portFlag = { node: 1 } as const;
/** enum km_miss_state */
export const missState = { asked: 1, answered: 2 } as const;
/** KM_MISS_AGAIN_NS */
export const missAgainNs = 30_000_000_000n;
/** Bits of km_enrolled.flags */
export const enrolledFlag = { authz: 2, waypoint: 4 } as const;
/** Bits of km_enrolment.authz */
export const enrolmentFlag = { authz: 1, waypoint: 2 } as const;
/** Bits of km_authz_stack.flags */
export const stackFlag = { allows: 1, dryAllows: 2, dry: 4, closed: 8 } as const;
/** enum km_dimension: places in km_authz_set.usual and base, bits of used */
export const dimensionIndex = { identity: 0, source: 1, destination: 2, port: 3 } as const;
/** KM_VALUE_PORT */
export const valuePort = 0x80000000;
/** KM_MEMBER_RULE_SHIFT: bits of an authz_member value that are the policy id; above them is the number of its rule. */
export const memberPolicyBits = 20;
/** KM_IDENTITY_HOST */
export const identityHost = 0xffffffff;
/** Bits of km_authz_range_key.prefixlen before those of the address. */
export const rangeSetBits = 32;
/** Bits of km_denial.flags */
export const denialFlag = { dryRun: 1, dryAllows: 2, handshake: 4, open: 8, request: 16 } as const;
/** enum km_name_kind */
export const nameKind = { workload: 1, service: 2, backend: 3, namespace: 4, identity: 5, policy: 6 } as const;
export type NameKind = keyof typeof nameKind;
/** IPPROTO_* */
export const protocolNumber = { tcp: 6, udp: 17 } as const;
export type Protocol = keyof typeof protocolNumber;
