/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the programs themselves remember and count. */
#ifndef KMESH_MAPS_STATE_H
#define KMESH_MAPS_STATE_H

#include "kmesh/abi.h"
#include "kmesh/reasons.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct km_sock);
} sock SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KM_REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} reason SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 262144); /* one a workload id */
	__type(key, __u32);
	__type(value, struct km_active);
} active SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 131072); /* one a backend id */
	__type(key, __u32);
	__type(value, __u64);
} robin SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct km_affinity_key);
	__type(value, struct km_affinity);
} affinity SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct km_udp_key);
	__type(value, struct km_udp_flow);
} udp_flow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct km_udp_key);
	__type(value, struct km_udp_reverse);
} udp_reverse SEC(".maps");

#endif
