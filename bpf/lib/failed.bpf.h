/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The endpoint that failed last of a backend with least request. One that refuses has no open connection, so that without this it
 * would be the first choice of all. It stands in `robin`, which that policy has no other use for.
 */
#ifndef KMESH_LIB_FAILED_H
#define KMESH_LIB_FAILED_H

#include "lib/range.bpf.h"
#include "maps/state.bpf.h"

#define KM_TICK_BITS 20 /* of nanoseconds: about a millisecond */
#define KM_FAILED_TICKS 1000u

/* A u32 of them goes round in 52 days; a failure as old as that counts once more, for a second. */
km_inline __u32 km_ticks(void)
{
	return bpf_ktime_get_ns() >> KM_TICK_BITS;
}

/* A connection that was led to the backend's endpoint ended before it was open. */
km_inline void km_note_failure(__u32 backend_id, __u32 workload_id)
{
	struct km_range range = {.backend_id = backend_id};
	__u64 *last;

	if (!workload_id || !km_open_range(&range) || range.header->policy != KM_POLICY_LEAST_REQUEST)
		return;
	last = bpf_map_lookup_elem(&robin, &backend_id);
	if (last)
		*(volatile __u64 *)last = (__u64)workload_id << 32 | km_ticks();
}

/* Workload of the endpoint that failed within the last second; 0: none did. */
km_inline __u32 km_failed_lately(__u32 backend_id)
{
	const __u64 *last = bpf_map_lookup_elem(&robin, &backend_id);
	__u64 raw;

	if (!last)
		return 0;
	raw = km_read_once(last);
	return raw && km_ticks() - (__u32)raw < KM_FAILED_TICKS ? raw >> 32 : 0;
}

#endif
