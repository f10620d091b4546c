/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* On demand: which addresses are asked for, and whether the answer is there. */
#ifndef KMESH_LIB_MISS_H
#define KMESH_LIB_MISS_H

#include "lib/addr.bpf.h"
#include "lib/reason.bpf.h"
#include "maps/enrol.bpf.h"
#include "maps/miss.bpf.h"

/* Unspecified, loopback, link-local, multicast, broadcast: nobody's, or another's on each link. */
km_inline bool km_never_asked(const union km_addr *addr)
{
	const __u32 first = bpf_ntohl(addr->w[0]);
	const __u32 last = bpf_ntohl(addr->w[3]);

	if (km_addr_is4(addr))
		return last >> 24 == 0 || last >> 24 == 127 || last >> 16 == 0xa9fe || last >> 28 == 0xe || last == ~0u;
	return first >> 24 == 0xff || km_is_link_local(addr) || (!(first | addr->w[1] | addr->w[2]) && last <= 1);
}

/* The caller itself: no service's, as long as none has a frontend there. */
km_inline bool km_is_own(const union km_addr *addr, __u32 workload_id)
{
	const struct km_client *self = bpf_map_lookup_elem(&client, &workload_id);

	return self && (km_addr_equal(&self->addr4, addr) || km_addr_equal(&self->addr6, addr));
}

km_inline void km_report_miss(const union km_addr *addr, __u64 now, __u32 state)
{
	struct km_miss_record record = {.addr = *addr, .since_ns = now, .state = state};

	if (bpf_ringbuf_output(&misses, &record, sizeof(record), 0))
		km_count(KM_REASON_MISS_LOST);
}

/* True while nobody has said whether the mesh knows the address. The first to dial it reports it; later ones when that is long ago. */
km_inline bool km_ask(const union km_addr *addr, __u32 workload_id)
{
	struct km_miss fresh = {.state = KM_MISS_ASKED};
	struct km_miss *known;
	__u64 since;
	__u32 state;

	if (km_never_asked(addr) || km_is_own(addr, workload_id))
		return false;
	fresh.since_ns = bpf_ktime_get_ns();
	known = bpf_map_lookup_elem(&miss, addr);
	if (!known) {
		if (!bpf_map_update_elem(&miss, addr, &fresh, BPF_NOEXIST))
			km_report_miss(addr, fresh.since_ns, KM_MISS_ASKED);
		return true;
	}
	since = known->since_ns;
	state = known->state;
	/* Signed: another CPU may have reported it since the time was read. */
	if ((__s64)(fresh.since_ns - since) >= (__s64)KM_MISS_AGAIN_NS &&
	    __sync_val_compare_and_swap(&known->since_ns, since, fresh.since_ns) == since)
		km_report_miss(addr, fresh.since_ns, state);
	/* The LRU may have given the element to another address before it was read. */
	return state != KM_MISS_ANSWERED || bpf_map_lookup_elem(&miss, addr) != known;
}

#endif
