/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Telling of what was denied: so many records a second for each policy on each CPU, and how many were not told of. */
#ifndef KMESH_LIB_DENIAL_H
#define KMESH_LIB_DENIAL_H

#include "lib/reason.bpf.h"
#include "maps/authz.bpf.h"

/* What was told of this policy in this second; of those without a number of their own together. */
km_inline struct km_denial_limit *km_limit_of(__u32 member)
{
	__u32 id = member & KM_MEMBER_POLICY;
	struct km_denial_limit *limit = bpf_map_lookup_elem(&denial_limit, &id);

	if (limit)
		return limit;
	id = 0;
	return bpf_map_lookup_elem(&denial_limit, &id);
}

/* Nobody is woken: the agent reads the ring now and then. */
km_apart int km_tell(struct km_denial *denial)
{
	struct km_denial_limit *limit;

	if (!denial)
		return 0;
	limit = km_limit_of(denial->policy ? denial->policy : denial->dry_policy);
	if (!limit)
		return 0;
	denial->time_ns = bpf_ktime_get_ns();
	/* Of several programs on this CPU: one may interrupt another, and then a record more or less is told of. */
	if (denial->time_ns - limit->since_ns >= KM_NS_PER_SECOND) {
		limit->since_ns = denial->time_ns;
		limit->records = 0;
	}
	denial->lost = limit->lost;
	if (limit->records < KM_DENIALS_A_SECOND &&
	    !bpf_ringbuf_output(&denials, denial, sizeof(*denial), BPF_RB_NO_WAKEUP)) {
		limit->records++;
		limit->lost = 0;
		return 1;
	}
	limit->lost++;
	km_count(KM_REASON_DENIAL_LOST);
	return 0;
}

#endif
