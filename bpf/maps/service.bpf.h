/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the agent writes and the programs read. Sizes are the defaults; userland sets others before load. */
#ifndef KMESH_MAPS_SERVICE_H
#define KMESH_MAPS_SERVICE_H

#include "kmesh/abi.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct km_frontend_key);
	__type(value, struct km_frontend);
} frontend SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct km_variant_key);
	__type(value, struct km_frontend);
} variant SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct km_cidr_key);
	__type(value, struct km_frontend);
} cidr SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 131072);
	__type(key, __u32);
	__type(value, struct km_backend);
} backend SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	/* 262,144 endpoints, their headers, and room to write new ranges beside old ones */
	__uint(max_entries, 393216);
	__type(key, __u32);
	__type(value, struct km_endpoint);
} endpoint SEC(".maps");

/* Slots hold these, too: called by nobody, but it puts their layout into the BTF that the map carries for its readers. */
void km_slots_hold(const struct km_backend_header *header, const struct km_backend_via *via,
		   const struct km_via_ports *ports)
{
	(void)header;
	(void)via;
	(void)ports;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 262144); /* two indexes a slot */
	__type(key, __u32);
	__type(value, struct km_maglev);
} maglev SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_setting);
} setting SEC(".maps");

#endif
