/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Connections on their way to a waypoint, and what their headers say. */
#ifndef KMESH_MAPS_WAYPOINT_H
#define KMESH_MAPS_WAYPOINT_H

#include "kmesh/abi.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* By socket cookie, from the end of the handshake until the waypoint has acknowledged the header. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, __u64);
} waypoint_sock SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct km_waypoint_client);
} waypoint_client SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct km_waypoint_service);
} waypoint_service SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct km_frontend_key);
	__type(value, __u32);
} waypoint_port SEC(".maps");

#endif
