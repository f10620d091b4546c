/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The verdict of the policies on a connection. docs/authorization.md tells how they come to be in the maps. */
#ifndef KMESH_LIB_AUTHZ_H
#define KMESH_LIB_AUTHZ_H

#include "lib/addr.bpf.h"
#include "lib/match.bpf.h"
#include "lib/reason.bpf.h"
#include "maps/authz.bpf.h"

/* What the verdict would be were dry runs enforced. */
km_aside void km_dry_run(struct km_denial *asked, const struct km_matches *matches, __u16 flags, bool allowed)
{
	bool would_allow;

	if (matches->found >> KM_PART_DENY & 1)
		return;
	if (matches->found >> KM_PART_DRY_DENY & 1) {
		asked->dry_policy = matches->member[KM_PART_DRY_DENY];
		would_allow = false;
	} else if (!(flags & KM_STACK_DRY_ALLOWS) || matches->found >> KM_PART_ALLOW & 1) {
		would_allow = true;
	} else {
		would_allow = matches->found >> KM_PART_DRY_ALLOW & 1;
		if (would_allow)
			asked->dry_policy = matches->member[KM_PART_DRY_ALLOW];
	}
	if (allowed != would_allow)
		asked->flags |= allowed ? KM_DENIAL_DRY_RUN : KM_DENIAL_DRY_ALLOWS;
}

/* The stack of the destination; 0, and *why, when there is none. */
km_apart __u32 km_find_stack(const union km_addr *addr, __u32 *why)
{
	int i;

	if (!addr || !why)
		return 0;
	*why = KM_REASON_AUTHZ_PENDING;
	for (i = 0; i < KM_TRIES; i++) {
		const struct km_authz_dest *found = bpf_map_lookup_elem(&authz_dest, addr);
		__u64 raw;

		if (!found) {
			if (i)
				return 0;
			continue;
		}
		if (km_unlikely(i))
			km_count(KM_REASON_AUTHZ_REREAD);
		raw = km_read_once(found);
		if (km_likely(raw >> 32 == km_addr_tag(addr)))
			return (__u32)raw;
		*why = KM_REASON_AUTHZ_TORN;
	}
	return 0;
}

/* False: the table disagrees with itself each time. */
km_apart bool km_find_source(struct km_denial *asked)
{
	int i, misses = 0;

	if (!asked)
		return false;
	asked->identity = KM_IDENTITY_NONE;
	for (i = 0; i < KM_TRIES; i++) {
		const struct km_authz_source *found = bpf_map_lookup_elem(&authz_source, &asked->source);
		__u64 raw;

		if (!found) {
			if (++misses == 2)
				return true;
			continue;
		}
		if (km_unlikely(i))
			km_count(KM_REASON_AUTHZ_REREAD);
		raw = km_read_once(found);
		if (km_likely(raw >> 32 == km_addr_tag(&asked->source))) {
			asked->identity = (__u32)raw;
			return true;
		}
	}
	return false;
}

/* Why, of what the sets of the stack say. */
km_inline __u32 km_match(struct km_denial *asked, const struct km_authz_stack *stack)
{
	struct km_matches matches;
	__u32 why;
	int i;

	matches.found = 0;
	matches.why = KM_FOUND;
	for (i = 0; i < KM_STACK_SETS; i++) {
		if (i >= stack->count)
			break;
		/* A copy: a function that is verified by itself takes no map's value of a struct's part. */
		const struct km_authz_stacked stacked = stack->sets[i];

		if (!km_match_set(asked, &stacked, &matches))
			break;
	}
	if (km_unlikely(matches.why != KM_FOUND))
		return matches.why;
	if (matches.found >> KM_PART_DENY & 1) {
		asked->policy = matches.member[KM_PART_DENY];
		why = KM_REASON_AUTHZ_DENIED;
	} else if (!(stack->flags & KM_STACK_ALLOWS)) {
		why = KM_REASON_AUTHZ_ALLOWED;
	} else if (matches.found >> KM_PART_ALLOW & 1) {
		asked->policy = matches.member[KM_PART_ALLOW];
		why = KM_REASON_AUTHZ_ALLOWED;
	} else {
		why = stack->flags & KM_STACK_CLOSED ? KM_REASON_AUTHZ_CLOSED : KM_REASON_AUTHZ_NO_MATCH;
	}
	if (km_unlikely(stack->flags & KM_STACK_DRY))
		km_dry_run(asked, &matches, stack->flags, why == KM_REASON_AUTHZ_ALLOWED);
	return why;
}

/* Why it is allowed or not, in `why`; and who asked and which policy decided. Both addresses and the port are given. Counts nothing. */
km_apart int km_judge(struct km_denial *asked)
{
	const struct km_authz_stack *stack;
	__u32 id, why = KM_REASON_AUTHZ_TORN;

	if (!asked)
		return 0;
	asked->flags = 0;
	asked->policy = 0;
	asked->dry_policy = 0;
	asked->identity = KM_IDENTITY_NONE;
	id = km_find_stack(&asked->destination, &why);
	if (id) {
		stack = bpf_map_lookup_elem(&authz_stack, &id);
		if (km_unlikely(!stack))
			why = KM_REASON_AUTHZ_TORN;
		else if (!stack->count && !(stack->flags & (KM_STACK_ALLOWS | KM_STACK_DRY)))
			why = KM_REASON_AUTHZ_ALLOWED;
		else if (km_unlikely(!km_find_source(asked)))
			why = KM_REASON_AUTHZ_TORN;
		else if (asked->identity == KM_IDENTITY_HOST)
			why = KM_REASON_AUTHZ_HOST;
		else
			why = km_match(asked, stack);
	}
	asked->why = why;
	return 0;
}

km_inline bool km_is_denied(const struct km_denial *asked)
{
	return asked->why != KM_REASON_AUTHZ_ALLOWED && asked->why != KM_REASON_AUTHZ_HOST;
}

km_inline struct km_authz_hit *km_hit_of(__u32 member)
{
	__u32 id = member & KM_MEMBER_POLICY;
	struct km_authz_hit *hit = bpf_map_lookup_elem(&authz_hit, &id);

	if (hit)
		return hit;
	id = 0;
	return bpf_map_lookup_elem(&authz_hit, &id);
}

/* Counts a verdict that stands. */
km_inline void km_count_verdict(const struct km_denial *asked)
{
	struct km_authz_hit *hit = km_hit_of(asked->policy);

	km_count(asked->why);
	if (!hit)
		return;
	if (km_is_denied(asked))
		hit->denied++;
	else
		hit->allowed++;
	/* A dry run decided, or would have turned the verdict. */
	if (km_unlikely(asked->dry_policy | asked->flags)) {
		hit = km_hit_of(asked->dry_policy);
		if (hit)
			hit->dry++;
	}
}

#endif
