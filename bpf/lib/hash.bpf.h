/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The two 32-bit mixes that userland computes too (src/abi/hash.ts): change both or neither. */
#ifndef KMESH_LIB_HASH_H
#define KMESH_LIB_HASH_H

#include "kmesh/abi.h"

#define km_inline static __attribute__((always_inline)) inline

/*
 * Out of line, and verified once by itself rather than anew in every state of every caller: for what is off the common path, above
 * all for loops. Such a function knows nothing of its arguments: pointers may be NULL, and only plain structs can be passed.
 */
#define km_apart __attribute__((noinline))
/* The same for what takes more than plain structs: only kept out of the way of the common path, which is short of cache. */
#define km_aside static __attribute__((noinline))
#define km_likely(x) __builtin_expect(!!(x), 1)
#define km_unlikely(x) __builtin_expect(!!(x), 0)

km_inline __u32 km_mix(const __u32 *w, __u32 low, __u32 namespace_id)
{
	__u32 t = w[0] * 0x9e3779b1u ^ w[1] * 0x85ebca77u ^ w[2] * 0xc2b2ae3du ^ w[3] * 0x27d4eb2fu ^
		  low * 0x165667b1u ^ namespace_id * 0x9e3779b1u;

	t ^= t >> 15;
	t *= 0x2c1b3c6du;
	t ^= t >> 12;
	return t;
}

/* What struct km_frontend.tag must be for this key. The port counts as it stands in memory. */
km_inline __u32 km_frontend_tag(const struct km_frontend_key *key)
{
	return km_mix(key->addr.w, key->port | (__u32)key->protocol << 16, 0);
}

km_inline __u32 km_variant_tag(const struct km_variant_key *key)
{
	return km_mix(key->addr.w, key->port | (__u32)key->protocol << 16 | (__u32)key->prefix << 24,
		      key->namespace_id);
}

/* Tag of values whose key is an address: authz_dest, authz_source. */
km_inline __u32 km_addr_tag(const union km_addr *addr)
{
	return km_mix(addr->w, 0, 0);
}

km_inline __u32 km_authz_value_tag(const struct km_authz_value_key *key)
{
	const __u32 w[4] = {key->set, key->value, 0, 0};

	return km_mix(w, 0, 0);
}

/* Source hash of a client whose own address is known. */
km_inline __u32 km_address_hash(const union km_addr *addr)
{
	return km_mix(addr->w, 0, 0);
}

/* Source hash of a client without an address of the destination's family. */
km_inline __u32 km_cgroup_hash(__u64 cgroup_id)
{
	const __u32 w[4] = {(__u32)cgroup_id, (__u32)(cgroup_id >> 32), 0, 0};

	return km_mix(w, 0, 0);
}

/*
 * A Bloom filter whose three bits lie in one word, so that one load tells: *word is its number. Of cgroups that are not in it, 1 in
 * 200 seems to be when 250 are (a node full of pods).
 */
km_inline __u64 km_filter_mask(__u64 cgroup_id, __u32 *word)
{
	__u32 h = (__u32)cgroup_id ^ (__u32)(cgroup_id >> 32) * 0x85ebca77u;

	h *= 0x9e3779b1u;
	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	*word = h >> 26;
	return 1ull << (h >> 20 & 63) | 1ull << (h >> 14 & 63) | 1ull << (h >> 8 & 63);
}

_Static_assert(KM_FILTER_WORDS == 1 << (32 - 26), "words of the filter");

#endif
