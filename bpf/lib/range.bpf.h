/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* A backend's range of endpoints: opening it, and its slots. */
#ifndef KMESH_LIB_RANGE_H
#define KMESH_LIB_RANGE_H

#include "lib/addr.bpf.h"
#include "maps/service.bpf.h"

#define KM_TRIES 3

/* A range that was checked to be its backend's: immutable for as long as the program runs. */
struct km_range {
	const struct km_backend_header *header;
	__u32 backend_id;
	__u32 generation;
	__u32 first; /* index of the header */
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the first of two u32 is the low half of a u64");

/* One load of both halves of a struct km_frontend or struct km_backend: they belong together. */
km_inline __u64 km_read_once(const void *value)
{
	return *(const volatile __u64 *)value;
}

/* Fills the range of range->backend_id. False: there is none at this moment. */
km_inline bool km_open_range(struct km_range *range)
{
	const struct km_backend *current = bpf_map_lookup_elem(&backend, &range->backend_id);
	__u64 raw;

	if (!current)
		return false;
	raw = km_read_once(current);
	range->first = (__u32)raw;
	range->generation = raw >> 32;
	if (!range->first)
		return false;
	range->header = bpf_map_lookup_elem(&endpoint, &range->first);
	return range->header && range->header->generation == range->generation &&
	       range->header->backend_id == range->backend_id;
}

/* A range that the caller has opened, in a function that can be given its number only. */
km_inline bool km_same_range(__u32 first, struct km_range *range)
{
	range->first = first;
	range->header = bpf_map_lookup_elem(&endpoint, &range->first);
	if (!range->header)
		return false;
	range->backend_id = range->header->backend_id;
	range->generation = range->header->generation;
	return range->header->count;
}

/* Endpoint number `index` of the range; NULL when it has no such. */
km_inline const struct km_endpoint *km_slot(const struct km_range *range, __u32 index)
{
	const __u32 at = range->first + 1 + index;

	if (index >= range->header->count)
		return NULL;
	return bpf_map_lookup_elem(&endpoint, &at);
}

#endif
