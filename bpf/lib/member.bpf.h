/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Whether an endpoint is in a range: by bisection. */
#ifndef KMESH_LIB_MEMBER_H
#define KMESH_LIB_MEMBER_H

#include "lib/range.bpf.h"

#define KM_BISECT 19 /* steps that find one of 2^18 = 262,144 endpoints */

/* Order of endpoints in a range: workload id, address bytes, port. */
km_inline int km_endpoint_compare(const struct km_endpoint *a, __u32 workload_id, const union km_addr *addr,
				  __be16 port)
{
	int order;

	if (a->workload_id != workload_id)
		return a->workload_id < workload_id ? -1 : 1;
	order = km_addr_compare(&a->addr, addr);
	if (order)
		return order;
	if (a->port != port)
		return bpf_ntohs(a->port) < bpf_ntohs(port) ? -1 : 1;
	return 0;
}

km_apart int km_find_member(__u32 first, __u32 count, __u32 workload_id, const union km_addr *addr, __be16 port)
{
	__u32 low = 0, high = count;
	int i;

	if (!addr)
		return -1;
	for (i = 0; i < KM_BISECT && low < high; i++) {
		const __u32 middle = low + (high - low) / 2;
		const __u32 at = first + 1 + middle;
		const struct km_endpoint *slot = bpf_map_lookup_elem(&endpoint, &at);
		int order;

		if (!slot)
			return -1;
		order = km_endpoint_compare(slot, workload_id, addr, port);
		if (!order)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* The endpoint's number in the range, or -1 when it is not a member. */
km_inline int km_member(const struct km_range *range, __u32 workload_id, const union km_addr *addr, __be16 port)
{
	return km_find_member(range->first, range->header->count, workload_id, addr, port);
}

#endif
