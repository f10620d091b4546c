/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* From a dialled address to the id of the backend behind it. */
#ifndef KMESH_LIB_LOOKUP_H
#define KMESH_LIB_LOOKUP_H

#include "lib/addr.bpf.h"
#include "lib/enrolment.bpf.h"
#include "lib/range.bpf.h"
#include "lib/reason.bpf.h"
#include "maps/service.bpf.h"

/* Which of an address's variants this client sees. */
static __attribute__((noinline)) __u32 km_find_variant(struct km_variant_key *key, __u32 workload_id, __u32 *backend_id)
{
	const struct km_client *self = bpf_map_lookup_elem(&client, &workload_id);
	__u32 why = KM_REASON_NOT_VISIBLE;
	int i;

	/* The own namespace, a few times since a present key can be missed; then the variant for every namespace, likewise. */
	key->namespace_id = self ? self->namespace_id : 0;
	for (i = 0; i < 2 * KM_TRIES; i++) {
		const struct km_frontend *value;
		__u64 raw;

		if (i == KM_TRIES)
			key->namespace_id = 0;
		value = bpf_map_lookup_elem(&variant, key);
		if (!value)
			continue;
		raw = km_read_once(value);
		if (raw >> 32 == km_variant_tag(key)) {
			*backend_id = (__u32)raw;
			return *backend_id == KM_BACKEND_NONE ? KM_REASON_NOT_VISIBLE : KM_FOUND;
		}
		why = KM_REASON_TORN_FRONTEND;
	}
	return why;
}

/* The longest range that holds the address. *prefix: its bits, for the look-up of its variants. */
km_inline bool km_find_cidr(const struct km_frontend_key *dialled, __u32 *backend_id, __u32 *prefix)
{
	struct km_cidr_key key = {
		.prefixlen = 32 + 128,
		.port = dialled->port,
		.protocol = dialled->protocol,
		.addr = dialled->addr,
	};
	const struct km_setting *settings;
	const struct km_frontend *value;
	const __u32 zero = 0;
	__u64 raw;

	settings = bpf_map_lookup_elem(&setting, &zero);
	if (!settings || !(settings->flags & KM_SETTING_CIDR))
		return false;
	value = bpf_map_lookup_elem(&cidr, &key);
	if (!value)
		return false;
	/* No tag: a trie's nodes are replaced whole and freed after a grace period. */
	raw = km_read_once(value);
	*backend_id = (__u32)raw;
	*prefix = raw >> 32;
	return true;
}

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

/*
 * What a first look-up that found nothing, or another key's value, comes down to: an element that is freed and used again at once
 * can show that, and hide a key that is there. Also the way of every destination that is not ours.
 */
static __attribute__((noinline)) __u32 km_find_again(const struct km_frontend_key *dialled, __u32 misses,
						     __u32 workload_id, __u32 *backend_id)
{
	struct km_variant_key key = {.addr = dialled->addr, .port = dialled->port, .protocol = dialled->protocol};
	__u32 prefix = 0;
	int i;

	for (i = 0; i < KM_TRIES && misses < 2; i++) {
		const struct km_frontend *value = bpf_map_lookup_elem(&frontend, dialled);
		__u64 raw;

		if (!value) {
			misses++;
			continue;
		}
		raw = km_read_once(value);
		if (raw >> 32 == km_frontend_tag(dialled)) {
			km_count(KM_REASON_FRONTEND_REREAD);
			*backend_id = (__u32)raw;
			break;
		}
	}
	if (misses >= 2) {
		if (!km_find_cidr(dialled, backend_id, &prefix))
			return KM_REASON_UNKNOWN_DESTINATION;
		key.prefix = prefix;
		km_mask(&key.addr, prefix);
	} else if (i == KM_TRIES) {
		return KM_REASON_TORN_FRONTEND;
	}
	if (*backend_id == KM_BACKEND_VARIANT)
		return km_find_variant(&key, workload_id, backend_id);
	return KM_FOUND;
}

/* KM_FOUND and *backend_id, or why not. */
km_inline __u32 km_find_backend(const struct km_frontend_key *dialled, __u32 workload_id, __u32 *backend_id)
{
	const struct km_frontend *value = bpf_map_lookup_elem(&frontend, dialled);
	__u64 raw;

	if (!value)
		return km_find_again(dialled, 1, workload_id, backend_id);
	raw = km_read_once(value);
	*backend_id = (__u32)raw;
	if (raw >> 32 != km_frontend_tag(dialled))
		return km_find_again(dialled, 0, workload_id, backend_id);
	if (*backend_id == KM_BACKEND_VARIANT) {
		struct km_variant_key key = {
			.addr = dialled->addr, .port = dialled->port, .protocol = dialled->protocol};

		return km_find_variant(&key, workload_id, backend_id);
	}
	return KM_FOUND;
}

/*
 * KM_FOUND and *range, or why not. A frontend and what it names are written in an order that never leads nowhere, but a reader may
 * hold a frontend that was removed since, and then its backend too: so the whole way is gone again.
 */
km_inline __u32 km_find_range(const struct km_frontend_key *dialled, __u32 workload_id, struct km_range *range)
{
	__u32 why = KM_REASON_TORN_BACKEND;
	int i;

#pragma clang loop unroll(disable)
	for (i = 0; i < KM_TRIES; i++) {
		__u32 found = km_find_backend(dialled, workload_id, &range->backend_id);

		if (found != KM_FOUND) {
			why = found;
			break;
		}
		if (km_open_range(range)) {
			why = KM_FOUND;
			break;
		}
	}
	if (why != KM_FOUND)
		return why;
	if (range->header->flags & KM_BACKEND_PASSTHROUGH)
		return KM_REASON_PASSTHROUGH;
	if (range->header->count)
		return KM_FOUND;
	return range->header->flags & KM_BACKEND_EMPTY_DIRECT ? KM_REASON_EMPTY_DIRECT : KM_REASON_EMPTY_REFUSED;
}

#endif
