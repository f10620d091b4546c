/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who is in the mesh: written by enrol and unenrol under the lock. */
#ifndef KMESH_MAPS_ENROL_H
#define KMESH_MAPS_ENROL_H

#include "kmesh/abi.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct km_enrolled);
} enrolled SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_level);
} level SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct km_client);
} client SEC(".maps");

#endif
