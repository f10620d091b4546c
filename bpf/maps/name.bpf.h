/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What no program reads but must not part from the maps that programs use: the id table, and what was enrolled as what. */
#ifndef KMESH_MAPS_NAME_H
#define KMESH_MAPS_NAME_H

#include "kmesh/abi.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 524288);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct km_name_key);
	__type(value, struct km_name);
} name SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct km_enrolment);
} enrolment SEC(".maps");

#endif
