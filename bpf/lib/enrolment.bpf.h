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
	__u32 flags; /* KM_ENROLLED_* */
};

#define KM_LEVELS 64 /* bits of km_level.mask */

/* A walk up from a socket's cgroup through those ancestors that may be enrolled. */
struct km_search {
	const struct km_level *levels;
	const struct cgroup *cgroup;
	__u64 mask;
	__u64 epoch; /* read before anything is looked up: what was found is at least as new */
	int depth;
};

/*
 * A socket's cgroup is set at socket() and kept when its process moves; the kernel gives MPTCP's subflows that of their socket.
 * `sk` is any pointer to a full socket. False: nobody is enrolled at the levels of its cgroup.
 */
km_inline bool km_search_start(const void *sk, struct km_search *search)
{
	const __u32 zero = 0;

	search->levels = bpf_map_lookup_elem(&level, &zero);
	if (!search->levels || !search->levels->mask)
		return false;
	search->epoch = search->levels->epoch;
	search->cgroup = km_kernel_cast(struct sock, sk)->sk_cgrp_data.cgroup;
	search->depth = search->cgroup->level & (KM_LEVELS - 1);
	search->mask = search->levels->mask & (~0ull >> (KM_LEVELS - 1 - search->depth));
	return search->mask;
}

/*
 * The next cgroup upwards that may be enrolled; false: none is. Loads only: calling a helper costs more than all of this, and the
 * sockets of those who have nothing to do with the mesh end here.
 */
km_inline bool km_search_next(struct km_search *search, __u64 *cgroup_id)
{
	while (search->mask && search->depth >= 0) {
		const struct sock_cgroup_data *ancestor;
		const char *place;
		/* Counts down at once: the verifier must see every walk end, also one that goes on after a return. */
		const int depth = search->depth--;
		__u64 bits;
		__u32 word;

		if (!(search->mask >> depth & 1))
			continue;
		search->mask ^= 1ull << depth;
		/*
		 * &cgroup->ancestors[depth] with a depth known at run time only: the verifier lets no kernel pointer be indexed
		 * so, but takes the sum as the start of another struct whose first field is a cgroup pointer as well.
		 */
		place = (const char *)search->cgroup + bpf_core_field_offset(struct cgroup, ancestors) +
			depth * sizeof(void *) - bpf_core_field_offset(struct sock_cgroup_data, cgroup);
		ancestor = km_kernel_cast(struct sock_cgroup_data, place);
		*cgroup_id = ancestor->cgroup->kn->id;
		bits = km_filter_mask(*cgroup_id, &word);
		if ((search->levels->filter[word & (KM_FILTER_WORDS - 1)] & bits) == bits)
			return true;
	}
	return false;
}

/* Looks up `who->cgroup_id` and, while that is not enrolled, what is above it. */
km_inline bool km_search_look_up(struct km_search *search, struct km_identity *who)
{
	do {
		const struct km_enrolled *found = bpf_map_lookup_elem(&enrolled, &who->cgroup_id);

		if (found) {
			who->workload_id = found->workload_id;
			who->flags = found->flags;
			return true;
		}
	} while (km_search_next(search, &who->cgroup_id));
	return false;
}

km_inline bool km_identify(const void *sk, struct km_search *search, struct km_identity *who)
{
	return km_search_start(sk, search) && km_search_next(search, &who->cgroup_id) && km_search_look_up(search, who);
}

#endif
