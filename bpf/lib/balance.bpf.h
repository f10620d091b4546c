/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Which endpoint of a range a new connection or flow goes to. */
#ifndef KMESH_LIB_BALANCE_H
#define KMESH_LIB_BALANCE_H

#include "lib/enrolment.bpf.h"
#include "lib/failed.bpf.h"
#include "lib/member.bpf.h"
#include "lib/range.bpf.h"
#include "lib/reason.bpf.h"
#include "maps/service.bpf.h"
#include "maps/state.bpf.h"

#define KM_CLIENT_IS_CGROUP (1ull << 63) /* keeps cgroup ids apart from workload ids in struct km_affinity_key */

/* Uniform in [0, n): the high half of a 32x32 product; no division. */
km_inline __u32 km_uniform(__u32 n)
{
	return (__u64)bpf_get_prandom_u32() * n >> 32;
}

/*
 * Alias table: a column at random, then the endpoint or its alias by the column's threshold. The low half of the product that
 * chose the column is uniform in the column: one random number is enough.
 */
km_inline __u32 km_pick_random(const struct km_range *range)
{
	const __u64 product = (__u64)bpf_get_prandom_u32() * range->header->count;
	const struct km_endpoint *slot = km_slot(range, product >> 32);

	return !slot || (__u32)product < slot->threshold ? product >> 32 : slot->alias;
}

/* Entry `at` of the range's index table: a Maglev table or a weighted cycle. */
km_inline __u32 km_table_index(const struct km_backend_header *header, __u32 at)
{
	const __u32 slot = header->maglev_first + at / 2;
	const struct km_maglev *pair = bpf_map_lookup_elem(&maglev, &slot);

	if (!pair)
		return 0;
	return at & 1 ? pair->index[1] : pair->index[0];
}

km_inline __u32 km_round_robin(const struct km_range *range)
{
	const struct km_backend_header *header = range->header;
	__u64 *counter = bpf_map_lookup_elem(&robin, &range->backend_id);
	__u64 turn;

	if (!counter)
		return 0;
	turn = __sync_fetch_and_add(counter, 1);
	if (header->maglev_size)
		return km_table_index(header, turn % header->maglev_size);
	return turn % header->count;
}

/* Open connections plus the one to come. */
km_inline __u64 km_load(__u32 workload_id)
{
	const struct km_active *open = bpf_map_lookup_elem(&active, &workload_id);
	const __s64 n = open ? open->connections : 0;

	return n < 0 ? 1 : n + 1;
}

/* Two different endpoints at random; the one with fewer open connections for its weight, unless it just failed. */
km_inline __u32 km_least_request(const struct km_range *range)
{
	const __u32 count = range->header->count;
	const struct km_endpoint *slot, *other;
	__u32 one, two, failed;

	if (count < 2)
		return 0;
	one = km_uniform(count);
	two = km_uniform(count - 1);
	if (two >= one)
		two++;
	slot = km_slot(range, one);
	other = km_slot(range, two);
	if (!slot || !other)
		return one;
	failed = km_failed_lately(range->backend_id);
	if (km_unlikely(failed) && slot->workload_id != other->workload_id) {
		if (slot->workload_id == failed)
			return two;
		if (other->workload_id == failed)
			return one;
	}
	if (km_load(slot->workload_id) * other->threshold <= km_load(other->workload_id) * slot->threshold)
		return one;
	return two;
}

/* By the client's own address of the dialled address's family; without one, by its cgroup. */
km_inline __u32 km_source_hash(const struct km_range *range, const struct km_identity *who, bool is4)
{
	const struct km_backend_header *header = range->header;
	const struct km_client *self = NULL;
	__u32 hash = km_cgroup_hash(who->cgroup_id);

	if (who->workload_id)
		self = bpf_map_lookup_elem(&client, &who->workload_id);
	if (self) {
		const union km_addr *addr = is4 ? &self->addr4 : &self->addr6;

		if (!km_addr_is_zero(addr))
			hash = km_address_hash(addr);
	}
	if (!header->maglev_size)
		return hash % header->count;
	return km_table_index(header, hash % header->maglev_size);
}

/* The endpoint's number by any policy but the default one. */
km_apart __u32 km_pick_index(__u32 first, const struct km_identity *who, bool is4)
{
	struct km_range range;

	if (!who || !km_same_range(first, &range))
		return 0;
	switch (range.header->policy) {
	case KM_POLICY_ROUND_ROBIN:
		return km_round_robin(&range);
	case KM_POLICY_LEAST_REQUEST:
		return km_least_request(&range);
	default:
		return km_source_hash(&range, who, is4);
	}
}

/*
 * The number of the endpoint in `last` if that was used recently enough and is still a member, else -1. The LRU may give the element
 * to another key while this reads it; what counts is only what the membership test finds.
 */
km_inline int km_recall(const struct km_range *range, struct km_affinity *last, __u64 now)
{
	union km_addr addr;
	int index;

	/* Signed: a connection on another CPU may have used it since `now` was read. */
	if ((__s64)(now - last->used_ns) >= (__s64)(range->header->affinity_seconds * KM_NS_PER_SECOND)) {
		km_count(KM_REASON_AFFINITY_EXPIRED);
		return -1;
	}
	addr = last->addr;
	index = km_member(range, last->workload_id, &addr, last->port);
	if (index >= 0) {
		last->used_ns = now;
		km_count(KM_REASON_AFFINITY_KEPT);
	}
	return index;
}

/* The number of the endpoint this client had last, else of one by the policy, which is then remembered. */
km_apart int km_pick_sticky(__u32 first, const struct km_identity *who, bool is4)
{
	struct km_affinity_key key = {};
	struct km_affinity next = {};
	const struct km_endpoint *chosen;
	struct km_affinity *last;
	struct km_range range;
	int index = -1;

	if (!who || !km_same_range(first, &range))
		return -1;
	key.client = who->workload_id ? who->workload_id : who->cgroup_id | KM_CLIENT_IS_CGROUP;
	key.backend_id = range.backend_id;
	next.used_ns = bpf_ktime_get_ns();
	last = bpf_map_lookup_elem(&affinity, &key);
	if (last)
		index = km_recall(&range, last, next.used_ns);
	if (index >= 0)
		return index;
	index = range.header->policy == KM_POLICY_RANDOM ? km_pick_random(&range) : km_pick_index(first, who, is4);
	chosen = km_slot(&range, index);
	if (!chosen)
		return -1;
	next.addr = chosen->addr;
	next.workload_id = chosen->workload_id;
	next.port = chosen->port;
	if (bpf_map_update_elem(&affinity, &key, &next, last ? BPF_ANY : BPF_NOEXIST) && !last) {
		/* Another connection of this client chose meanwhile: agree with it. */
		last = bpf_map_lookup_elem(&affinity, &key);
		if (last) {
			const int theirs = km_recall(&range, last, next.used_ns);

			if (theirs >= 0)
				return theirs;
		}
	}
	return index;
}

/* NULL only when the range does not hold together. */
km_inline const struct km_endpoint *km_balance(const struct km_range *range, const struct km_identity *who, bool is4)
{
	if (km_unlikely(range->header->affinity_seconds))
		return km_slot(range, km_pick_sticky(range->first, who, is4));
	if (km_likely(range->header->policy == KM_POLICY_RANDOM))
		return km_slot(range, km_pick_random(range));
	return km_slot(range, km_pick_index(range->first, who, is4));
}

#endif
