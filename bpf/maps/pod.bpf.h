/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Where the pods are that are judged, and what they sent. */
#ifndef KMESH_MAPS_POD_H
#define KMESH_MAPS_POD_H

#include "kmesh/abi.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, union km_addr);
	__type(value, struct km_pod);
} pod_address SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct km_sent_key);
	__type(value, __u64);
} sent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024); /* 64 ports each */
	__type(key, __u32);
	__type(value, struct km_listening);
} listening SEC(".maps");

#endif
