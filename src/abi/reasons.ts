// SPDX-License-Identifier: Apache-2.0
// enum km_reason of bpf/include/kmesh/reasons.h: same names, same order (compared with BTF at load).

export const reasons = [
  'not_enrolled',
  'unknown_destination',
  'not_balanced_protocol',
  'balanced',
  'passthrough',
  'empty_direct',
  'empty_refused',
  'not_visible',
  'torn_frontend',
  'torn_backend',
  'family',
  'frontend_reread',
  'storage_full',
  'affinity_kept',
  'affinity_expired',
  'udp_rebalanced',
  'udp_flow_full',
  'udp_destroyed',
  'late_enrolled',
  'tcp_opened',
  'tcp_closed',
  'tcp_failed',
  'mptcp_join',
  'miss_direct',
  'miss_refused',
  'miss_lost',
] as const;

export type Reason = (typeof reasons)[number];
