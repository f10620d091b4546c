/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From a dialled address to the id of the backend behind it. */
#ifndef KMESH_LIB_LOOKUP_H
#define KMESH_LIB_LOOKUP_H

#include "lib/addr.bpf.h"
#include "lib/enrolment.bpf.h"
#include "lib/miss.bpf.h"
#include "lib/range.bpf.h"
#include "lib/reason.bpf.h"
#include "maps/service.bpf.h"

#define KM_EXACT (-1) /* in place of the bits of a range */

/* The start of the range: the first `prefix` bits of the address. */
km_inline void km_mask(union km_addr *addr, __u32 prefix)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < 4; i++) {
		const __u32 bits = prefix > 32 * i ? prefix - 32 * i : 0;

		if (bits < 32)
			addr->w[i] &= bpf_htonl(bits ? ~0u << (32 - bits) : 0);
	}
}

/* Which of the variants of an address, or of the range around it, this client sees. */
km_apart __u32 km_find_variant(const struct km_frontend_key *dialled, int prefix, __u32 workload_id, __u32 *backend_id)
{
	const struct km_client *self = bpf_map_lookup_elem(&client, &workload_id);
	__u32 why = KM_REASON_NOT_VISIBLE;
	struct km_variant_key key = {};
	int i;

	if (!dialled || !backend_id)
		return KM_REASON_TORN_FRONTEND;
	key.addr = dialled->addr;
	key.port = dialled->port;
	key.protocol = dialled->protocol;
	if (prefix != KM_EXACT) {
		key.prefix = prefix;
		km_mask(&key.addr, prefix);
	}
	/* The own namespace, a few times since a present key can be missed; then the variant for every namespace, likewise. */
	key.namespace_id = self ? self->namespace_id : 0;
	for (i = 0; i < 2 * KM_TRIES; i++) {
		const struct km_frontend *value;
		__u64 raw;

		if (i == KM_TRIES)
			key.namespace_id = 0;
		value = bpf_map_lookup_elem(&variant, &key);
		if (!value)
			continue;
		raw = km_read_once(value);
		if (raw >> 32 == km_variant_tag(&key)) {
			*backend_id = (__u32)raw;
			return *backend_id == KM_BACKEND_NONE ? KM_REASON_NOT_VISIBLE : KM_FOUND;
		}
		why = KM_REASON_TORN_FRONTEND;
	}
	return why;
}

/* KM_SETTING_*: 0 where only exact addresses count, which is the common case. */
km_inline __u32 km_setting_flags(void)
{
	const __u32 zero = 0;
	const struct km_setting *settings = bpf_map_lookup_elem(&setting, &zero);

	return settings ? settings->flags : 0;
}

/* By the longest range that holds the address. What a client calls itself is nobody's to give away: exact ones are not written. */
km_apart __u32 km_find_cidr(const struct km_frontend_key *dialled, __u32 workload_id, __u32 *backend_id)
{
	struct km_cidr_key key = {.prefixlen = 32 + 128};
	const struct km_frontend *value;
	__u64 raw;

	if (!dialled || !backend_id || km_is_itself(&dialled->addr))
		return KM_REASON_UNKNOWN_DESTINATION;
	key.addr = dialled->addr;
	key.port = dialled->port;
	key.protocol = dialled->protocol;
	value = bpf_map_lookup_elem(&cidr, &key);
	if (!value)
		return KM_REASON_UNKNOWN_DESTINATION;
	/* No tag: a trie's nodes are replaced whole and freed after a grace period. */
	raw = km_read_once(value);
	*backend_id = (__u32)raw;
	if (*backend_id == KM_BACKEND_VARIANT)
		return km_find_variant(dialled, raw >> 32 & 0xff, workload_id, backend_id);
	return KM_FOUND;
}

/* The address whatever the port. As with exact ones a present key can be missed, or its value be another's. */
km_apart __u32 km_find_any_port(const struct km_frontend_key *dialled, __u32 workload_id, __u32 *backend_id)
{
	struct km_frontend_key key = {};
	int i, misses = 0;

	if (!dialled || !backend_id)
		return KM_REASON_TORN_FRONTEND;
	key.addr = dialled->addr;
	key.protocol = dialled->protocol;
	for (i = 0; i < KM_TRIES; i++) {
		const struct km_frontend *value = bpf_map_lookup_elem(&frontend, &key);
		__u64 raw;

		if (!value) {
			if (++misses == 2)
				return KM_REASON_UNKNOWN_DESTINATION;
			continue;
		}
		raw = km_read_once(value);
		if (raw >> 32 != km_frontend_tag(&key))
			continue;
		*backend_id = (__u32)raw;
		if (*backend_id == KM_BACKEND_VARIANT)
			return km_find_variant(&key, KM_EXACT, workload_id, backend_id);
		return KM_FOUND;
	}
	return KM_REASON_TORN_FRONTEND;
}

/*
 * What is not known by its exact address. A range says nothing of addresses that were not asked for yet: one of them may be a service's
 * own, which comes before any range.
 */
km_apart __u32 km_find_around(const struct km_frontend_key *dialled, __u32 workload_id, __u32 *backend_id)
{
	const __u32 flags = km_setting_flags();
	__u32 why = KM_REASON_UNKNOWN_DESTINATION;
	bool asked = false;

	if (!dialled || !backend_id)
		return why;
	if (flags & KM_SETTING_ANY_PORT) {
		why = km_find_any_port(dialled, workload_id, backend_id);
		if (why != KM_REASON_UNKNOWN_DESTINATION)
			return why;
	}
	if (flags & KM_SETTING_ON_DEMAND)
		asked = km_ask(&dialled->addr, workload_id);
	if (asked && flags & KM_SETTING_MISS_REFUSE)
		return KM_REASON_MISS_REFUSED;
	if (flags & KM_SETTING_CIDR)
		why = km_find_cidr(dialled, workload_id, backend_id);
	return asked && why == KM_REASON_UNKNOWN_DESTINATION ? KM_REASON_MISS_DIRECT : why;
}

/* The value does not belong to the key: its element was freed and used again at once. Looks again, three times. */
km_apart __u32 km_find_torn(const struct km_frontend_key *dialled, __u32 *backend_id)
{
	int i, misses = 0;

	if (!dialled || !backend_id)
		return KM_REASON_TORN_FRONTEND;
	for (i = 0; i < KM_TRIES; i++) {
		const struct km_frontend *value = bpf_map_lookup_elem(&frontend, dialled);
		__u64 raw;

		if (!value) {
			if (++misses == 2)
				return KM_REASON_UNKNOWN_DESTINATION;
			continue;
		}
		raw = km_read_once(value);
		if (raw >> 32 == km_frontend_tag(dialled)) {
			km_count(KM_REASON_FRONTEND_REREAD);
			*backend_id = (__u32)raw;
			return KM_FOUND;
		}
	}
	return KM_REASON_TORN_FRONTEND;
}

/* KM_FOUND and *backend_id, or why not. */
km_inline __u32 km_find_backend(const struct km_frontend_key *dialled, __u32 workload_id, __u32 *backend_id)
{
	const struct km_frontend *value = bpf_map_lookup_elem(&frontend, dialled);
	__u64 raw;

	if (!value) {
		/* An element used again at once can hide a key that is there from one look-up. */
		value = bpf_map_lookup_elem(&frontend, dialled);
		if (km_likely(!value)) {
			if (km_likely(!km_setting_flags()))
				return KM_REASON_UNKNOWN_DESTINATION;
			return km_find_around(dialled, workload_id, backend_id);
		}
		km_count(KM_REASON_FRONTEND_REREAD);
	}
	raw = km_read_once(value);
	*backend_id = (__u32)raw;
	if (km_unlikely(raw >> 32 != km_frontend_tag(dialled))) {
		const __u32 why = km_find_torn(dialled, backend_id);

		if (why == KM_REASON_UNKNOWN_DESTINATION)
			return km_find_around(dialled, workload_id, backend_id);
		if (why != KM_FOUND)
			return why;
	}
	if (km_unlikely(*backend_id == KM_BACKEND_VARIANT))
		return km_find_variant(dialled, KM_EXACT, workload_id, backend_id);
	return KM_FOUND;
}

/* Once more from the start, for a frontend that led to no range. */
km_apart __u32 km_find_backend_again(const struct km_frontend_key *dialled, __u32 workload_id, __u32 *backend_id)
{
	if (!dialled || !backend_id)
		return KM_REASON_TORN_BACKEND;
	return km_find_backend(dialled, workload_id, backend_id);
}

/*
 * KM_FOUND and *range, maybe an empty one, or why not. A frontend and what it names are written in an order that never leads nowhere,
 * but a reader may hold a frontend that was removed since, and then its backend too: so the whole way is gone again.
 */
km_inline __u32 km_find_any_range(const struct km_frontend_key *dialled, __u32 workload_id, struct km_range *range)
{
	__u32 why;
	int i;

	range->backend_id = KM_BACKEND_NONE;
	why = km_find_backend(dialled, workload_id, &range->backend_id);
	for (i = 1; why == KM_FOUND && km_unlikely(!km_open_range(range)); i++) {
		if (i == KM_TRIES)
			return KM_REASON_TORN_BACKEND;
		why = km_find_backend_again(dialled, workload_id, &range->backend_id);
	}
	return why;
}

/* KM_FOUND, or what becomes of a connection that none of its endpoints can be chosen for. */
km_inline __u32 km_check_range(const struct km_range *range)
{
	if (km_unlikely(range->header->flags & KM_BACKEND_PASSTHROUGH))
		return KM_REASON_PASSTHROUGH;
	if (km_likely(range->header->count))
		return KM_FOUND;
	return range->header->flags & KM_BACKEND_EMPTY_DIRECT ? KM_REASON_EMPTY_DIRECT : KM_REASON_EMPTY_REFUSED;
}

/* KM_FOUND and a *range with endpoints, or why not. */
km_inline __u32 km_find_range(const struct km_frontend_key *dialled, __u32 workload_id, struct km_range *range)
{
	const __u32 why = km_find_any_range(dialled, workload_id, range);

	return why == KM_FOUND ? km_check_range(range) : why;
}

#endif
