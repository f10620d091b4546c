/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Whether a call goes through a waypoint, and whether its socket can carry what comes first. */
#ifndef KMESH_LIB_WAYPOINT_H
#define KMESH_LIB_WAYPOINT_H

#include "lib/enrolment.bpf.h"
#include "lib/member.bpf.h"
#include "lib/range.bpf.h"
#include "lib/reason.bpf.h"
#include "maps/waypoint.bpf.h"

/* True: some endpoint of the range is this workload's. */
km_inline bool km_is_among(const struct km_range *range, __u32 workload_id)
{
	__u32 low = 0, high = range->header->count;
	int i;

	for (i = 0; i < KM_BISECT && low < high; i++) {
		const __u32 middle = low + (high - low) / 2;
		const struct km_endpoint *slot = km_slot(range, middle);

		if (!slot)
			return false;
		if (slot->workload_id == workload_id)
			return true;
		if (slot->workload_id < workload_id)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* True: the port is one of the `count` that are listed from slot `at` on. */
km_apart bool km_is_listed(__u32 at, __u32 count, __u16 port)
{
	__u32 low = 0, high = count;
	int i;

	for (i = 0; i < KM_BISECT && low < high; i++) {
		const __u32 middle = low + (high - low) / 2;
		const __u32 slot = at + middle / KM_LISTED;
		const struct km_via_ports *ports = bpf_map_lookup_elem(&endpoint, &slot);
		__u16 there;

		if (!ports)
			return false;
		there = ports->ports[middle % KM_LISTED];
		if (there == port)
			return true;
		if (there < port)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/*
 * Of a call of `port` to the backend whose range (with KM_BACKEND_VIA) begins at `own`. WAYPOINT: by way of an endpoint of the range that
 * begins at *first. WAYPOINT_OWN, WAYPOINT_DIRECT, SERVER_FIRST_DIRECT: as if there were no waypoint. Else it is refused.
 */
km_apart __u32 km_find_way(__u32 own, __be16 port, const struct km_identity *who, __u32 *first)
{
	const struct km_backend_header *header = bpf_map_lookup_elem(&endpoint, &own);
	const struct km_backend_via *via;
	struct km_range way;
	bool there = false;
	__u32 at;
	int i;

	if (!who || !first || !header)
		return KM_REASON_TORN_BACKEND;
	at = own + 1 + header->count;
	via = bpf_map_lookup_elem(&endpoint, &at);
	if (!via)
		return KM_REASON_TORN_BACKEND;
	if (who->flags & KM_ENROLLED_WAYPOINT)
		return KM_REASON_WAYPOINT_OWN;
	way.backend_id = via->backend_id;
	for (i = 0; i < KM_TRIES && !there; i++)
		there = km_open_range(&way);
	if (there && who->workload_id && km_is_among(&way, who->workload_id))
		return KM_REASON_WAYPOINT_OWN;
	if (via->flags & KM_VIA_REFUSE)
		return KM_REASON_SERVER_FIRST;
	if (via->listed && km_is_listed(at + 1, via->listed, bpf_ntohs(port)))
		return via->flags & KM_VIA_LISTED_DIRECT ? KM_REASON_SERVER_FIRST_DIRECT : KM_REASON_SERVER_FIRST;
	if (!there && way.first)
		return KM_REASON_TORN_BACKEND;
	if (!there || !way.header->count)
		return via->flags & KM_VIA_DIRECT ? KM_REASON_WAYPOINT_DIRECT : KM_REASON_WAYPOINT_UNREADY;
	*first = way.first;
	return KM_REASON_WAYPOINT;
}

/* KM_FOUND, or why no header can be put before the first bytes of this socket. */
km_aside __u32 km_may_carry(struct bpf_sock *sk, const struct km_sock *held)
{
	const struct tcp_sock *tcp = km_kernel_cast(struct tcp_sock, sk);
	const struct bpf_shtab *table = km_kernel_cast(struct bpf_shtab, &waypoint_sock);

	if (held->flags & KM_SOCK_SUBFLOW)
		return KM_REASON_WAYPOINT_MPTCP;
	if (tcp->fastopen_req || BPF_CORE_READ_BITFIELD(tcp, fastopen_connect))
		return KM_REASON_WAYPOINT_FAST_OPEN;
	/* What comes in between two looks is noticed when it is put there. */
	if (table->count.counter >= 0 && (__u32)table->count.counter >= table->map.max_entries)
		return KM_REASON_WAYPOINT_FULL;
	return KM_FOUND;
}

#endif
