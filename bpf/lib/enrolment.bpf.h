/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Whose socket is it: the nearest enrolled cgroup at or above the socket's own. */
#ifndef KMESH_LIB_ENROLMENT_H
#define KMESH_LIB_ENROLMENT_H

#include "kmesh/kernel.h"
#include "lib/hash.bpf.h"
#include "maps/enrol.bpf.h"

struct km_identity {
	__u64 cgroup_id; /* the enrolled one */
	__u32 workload_id;
};

#define KM_LEVELS 64 /* bits of km_level.mask */

/*
 * A socket's cgroup is set at socket() and kept when its process moves; it is read here each time rather than from socket storage
 * because that costs no more (three loads, one look-up), is right for sockets older than the enrolment and for those the
 * kernel makes (MPTCP subflows), and ends with the enrolment. `sk` is any pointer to a full socket.
 */
km_inline bool km_identify(const void *sk, struct km_identity *who)
{
	const struct km_level *levels;
	const struct cgroup *cgroup;
	const __u32 zero = 0;
	__u64 mask;
	int depth;

	levels = bpf_map_lookup_elem(&level, &zero);
	if (!levels || !levels->mask)
		return false;
	cgroup = km_kernel_cast(struct sock, sk)->sk_cgrp_data.cgroup;
	depth = cgroup->level & (KM_LEVELS - 1);
	/* A cgroup at or above an enrolled level only: most of the host's own processes end here. */
	mask = levels->mask & (~0ull >> (KM_LEVELS - 1 - depth));
	for (; mask && depth >= 0; depth--) {
		const struct sock_cgroup_data *ancestor;
		const struct km_enrolled *found;

		if (!(mask >> depth & 1))
			continue;
		mask ^= 1ull << depth;
		/*
		 * &cgroup->ancestors[depth] with a depth known at run time only: the verifier lets no kernel pointer be indexed
		 * so, but takes the sum as the start of another struct whose first field is a cgroup pointer as well.
		 */
		ancestor = km_kernel_cast(struct sock_cgroup_data,
					  (const char *)cgroup + bpf_core_field_offset(struct cgroup, ancestors) +
						  depth * sizeof(void *) -
						  bpf_core_field_offset(struct sock_cgroup_data, cgroup));
		who->cgroup_id = ancestor->cgroup->kn->id;
		found = bpf_map_lookup_elem(&enrolled, &who->cgroup_id);
		if (found) {
			who->workload_id = found->workload_id;
			return true;
		}
	}
	return false;
}

#endif
