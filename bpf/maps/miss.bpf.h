/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Addresses that were dialled and are not known: what the programs tell the agent when it learns on demand. */
#ifndef KMESH_MAPS_MISS_H
#define KMESH_MAPS_MISS_H

#include "kmesh/abi.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, union km_addr);
	__type(value, struct km_miss);
} miss SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536); /* bytes: 1,638 records */
} misses SEC(".maps");

#endif
