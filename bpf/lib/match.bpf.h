/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What matches of a policy set: bit vectors of its conjunctions, one for each value of a connection, joined. */
#ifndef KMESH_LIB_MATCH_H
#define KMESH_LIB_MATCH_H

#include "lib/addr.bpf.h"
#include "lib/lookup.bpf.h"
#include "lib/miss.bpf.h"
#include "lib/reason.bpf.h"
#include "maps/authz.bpf.h"

/* Parts of a set, in the order of km_authz_set.ends. */
enum km_part {
	KM_PART_DENY = 0,
	KM_PART_ALLOW = 1,
	KM_PART_DRY_DENY = 2,
	KM_PART_DRY_ALLOW = 3,
	KM_PARTS = 4,
};

/* What matched so far, over all sets of a stack. */
struct km_matches {
	__u32 found; /* bit p: something of part p */
	__u32 why; /* denied whatever matches; KM_FOUND: no */
	__u32 member[KM_PARTS]; /* as in authz_member */
};

/* What is joined for one set: a vector for each dimension. */
struct km_joining {
	__u64 changed[4];
	__u32 vector[4];
	__u32 usual[4];
	__u32 used; /* bit d: dimension d takes part */
	__u32 pad;
};

km_inline __u64 km_word(__u32 index)
{
	const __u64 *word = bpf_map_lookup_elem(&authz_word, &index);

	return word ? *word : 0;
}

/* Bits below `n` of 64. */
km_inline __u64 km_below(__u32 n)
{
	return n < 64 ? (1ull << n) - 1 : ~0ull;
}

/* clang 14 breaks down over km_lowest for this target. */
km_inline __u32 km_ones(__u64 bits)
{
	bits -= bits >> 1 & 0x5555555555555555ull;
	bits = (bits & 0x3333333333333333ull) + (bits >> 2 & 0x3333333333333333ull);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return bits * 0x0101010101010101ull >> 56;
}

/* The number of the lowest bit that is set. */
km_inline __u32 km_lowest(__u64 bits)
{
	return km_ones(~bits & (bits - 1));
}

/* Word `word` of all vectors that take part, joined. */
km_apart __u64 km_join(const struct km_joining *joining, __u32 word)
{
	__u64 bits = ~0ull;
	int d;

	if (!joining)
		return 0;
#pragma unroll
	for (d = 0; d < 4; d++) {
		__u64 changed;
		__u32 index;

		if (!(joining->used >> d & 1))
			continue;
		changed = joining->changed[d];
		if (changed >> (word & 63) & 1)
			index = joining->vector[d] + 2 + km_ones(changed & km_below(word & 63));
		else
			index = joining->usual[d] + word;
		bits &= km_word(index);
	}
	return bits;
}

/* The vector of an identity or a port, or `base`: those without an entry have that. */
km_apart __u32 km_value_vector(__u32 set_id, __u32 value, __u32 base)
{
	const struct km_authz_value_key key = {.set = set_id, .value = value};
	int i, misses = 0;

	/* Again: an element that is used again at once can hide another from one look-up, or be read for it. */
	for (i = 0; i < KM_TRIES; i++) {
		const struct km_authz_value *found = bpf_map_lookup_elem(&authz_value, &key);
		__u64 raw;

		if (!found) {
			if (++misses == 2)
				break;
			continue;
		}
		raw = km_read_once(found);
		if (km_likely(raw >> 32 == km_authz_value_tag(&key)))
			return (__u32)raw;
	}
	return base;
}

km_apart __u32 km_range_vector(__u32 set_id, const union km_addr *addr, __u32 base)
{
	struct km_authz_range_key key = {.prefixlen = 32 + 128, .set = set_id};
	const struct km_authz_range *found;

	if (!addr)
		return base;
	key.addr = *addr;
	found = bpf_map_lookup_elem(&authz_range, &key);
	return found && found->set == set_id ? found->vector : base;
}

/* True while nobody has said whether the mesh knows the source. */
km_apart bool km_ask_source(const struct km_denial *asked)
{
	return asked && km_setting_flags() & KM_SETTING_ON_DEMAND && km_ask(&asked->source, 0);
}

/* Finds the vectors of the set; what their summaries leave of the words. */
km_apart __u64 km_join_start(const struct km_denial *asked, const struct km_authz_set *set,
			     const struct km_authz_stacked *stacked, struct km_joining *joining)
{
	__u64 summary = ~0ull;
	__u32 set_id;
	int d;

	if (!asked || !set || !stacked || !joining)
		return 0;
	set_id = stacked->set;
	/* Where no dimension is asked for, the words of any tell which conjunctions there are. */
	joining->used = set->used ? set->used : 1u << KM_DIMENSION_DESTINATION;
	joining->vector[KM_DIMENSION_DESTINATION] = stacked->destination;
	if (joining->used >> KM_DIMENSION_IDENTITY & 1)
		joining->vector[KM_DIMENSION_IDENTITY] =
			asked->identity == KM_IDENTITY_NONE
				? set->anonymous
				: km_value_vector(set_id, asked->identity, set->base[KM_DIMENSION_IDENTITY]);
	if (joining->used >> KM_DIMENSION_SOURCE & 1)
		joining->vector[KM_DIMENSION_SOURCE] =
			km_range_vector(set_id, &asked->source, set->base[KM_DIMENSION_SOURCE]);
	if (joining->used >> KM_DIMENSION_PORT & 1)
		joining->vector[KM_DIMENSION_PORT] =
			km_value_vector(set_id, bpf_ntohs(asked->destination_port) | KM_VALUE_PORT,
					set->base[KM_DIMENSION_PORT]);
#pragma unroll
	for (d = 0; d < 4; d++) {
		if (!(joining->used >> d & 1))
			continue;
		joining->usual[d] = set->usual[d];
		joining->changed[d] = km_word(joining->vector[d] + 1);
		summary &= km_word(joining->vector[d]);
	}
	return summary & km_below(set->ends[3]);
}

/* Words of the parts of which something matched already. */
km_apart __u64 km_words_done(const struct km_authz_set *set, __u32 found)
{
	__u64 done = 0;

	if (!set)
		return 0;
	if (found >> KM_PART_ALLOW & 1)
		done |= km_below(set->ends[1]) & ~km_below(set->ends[0]);
	if (found >> KM_PART_DRY_DENY & 1)
		done |= km_below(set->ends[2]) & ~km_below(set->ends[1]);
	if (found >> KM_PART_DRY_ALLOW & 1)
		done |= km_below(set->ends[3]) & ~km_below(set->ends[2]);
	return done;
}

/* Adds what matches in one word; the bit of its part, or 0. */
km_apart __u32 km_match_word(const struct km_authz_set *set, const struct km_joining *joining, __u32 word,
			     struct km_matches *matches)
{
	const __u32 *member;
	__u32 part, slot;
	__u64 bits;

	if (!set || !joining || !matches)
		return 0;
	bits = km_join(joining, word);
	if (!bits)
		return 0;
	part = (word >= set->ends[0]) + (word >= set->ends[1]) + (word >= set->ends[2]);
	slot = set->member + 64 * word + km_lowest(bits);
	member = bpf_map_lookup_elem(&authz_member, &slot);
	matches->member[part & (KM_PARTS - 1)] = member ? *member : 0;
	matches->found |= 1u << part;
	return 1u << part;
}

/* Adds what matches of one set. False: nothing after it matters. */
km_apart bool km_match_set(const struct km_denial *asked, const struct km_authz_stacked *stacked,
			   struct km_matches *matches)
{
	const struct km_authz_set *set;
	struct km_joining joining;
	__u64 words;
	int i;

	if (!asked || !stacked || !matches)
		return false;
	set = bpf_map_lookup_elem(&authz_set, &stacked->set);
	if (km_unlikely(!set)) {
		matches->why = KM_REASON_AUTHZ_TORN;
		return false;
	}
	if (km_unlikely(asked->identity == KM_IDENTITY_NONE && set->used >> KM_DIMENSION_IDENTITY & 1) &&
	    km_ask_source(asked)) {
		matches->why = KM_REASON_AUTHZ_MISS;
		return false;
	}
	words = km_join_start(asked, set, stacked, &joining) & ~km_words_done(set, matches->found);
	for (i = 0; i < KM_SET_WORDS && words; i++) {
		const __u32 found = km_match_word(set, &joining, km_lowest(words), matches);

		if (found >> KM_PART_DENY & 1)
			return false;
		words &= words - 1;
		if (found)
			words &= ~km_words_done(set, found);
	}
	return true;
}

#endif
