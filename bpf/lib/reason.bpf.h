/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Counting why a program ended as it did, and which of these ends refuse the call. */
#ifndef KMESH_LIB_REASON_H
#define KMESH_LIB_REASON_H

#include "kmesh/reasons.h"
#include "lib/hash.bpf.h"
#include "maps/state.bpf.h"

#define KM_DENY 0
#define KM_ALLOW 1

/* Per CPU and not atomic: a program that is interrupted between load and store may lose one; it is a statistic. */
km_inline void km_count(__u32 why)
{
	__u64 *n = bpf_map_lookup_elem(&reason, &why);

	if (n)
		(*n)++;
}

/* Beside the reasons: what was looked for is there, go on. */
#define KM_FOUND KM_REASON_MAX

#define KM_BIT(why) (1ull << KM_REASON_##why)
#define KM_REFUSALS                                                                                                    \
	(KM_BIT(EMPTY_REFUSED) | KM_BIT(TORN_FRONTEND) | KM_BIT(TORN_BACKEND) | KM_BIT(FAMILY) |                       \
	 KM_BIT(STORAGE_FULL) | KM_BIT(UDP_FLOW_FULL) | KM_BIT(MISS_REFUSED) | KM_BIT(WAYPOINT_UNREADY) |              \
	 KM_BIT(SERVER_FIRST) | KM_BIT(WAYPOINT_FULL) | KM_BIT(WAYPOINT_PORT) | KM_UNSUPPORTED)
/* Refused for what the socket asks for: another one could. */
#define KM_UNSUPPORTED (KM_BIT(WAYPOINT_FAST_OPEN) | KM_BIT(WAYPOINT_MPTCP))

_Static_assert(KM_REASON_MAX <= 64, "one bit a reason");

km_inline bool km_refuses(__u32 why)
{
	return KM_REFUSALS >> (why & 63) & 1;
}

/* Of connect and sendmsg: counts, and makes the application see an error at once where the call is refused. */
km_inline int km_verdict(__u32 why)
{
	km_count(why);
	if (km_likely(!km_refuses(why)))
		return KM_ALLOW;
	bpf_set_retval((KM_UNSUPPORTED >> (why & 63)) & 1 ? -KM_EOPNOTSUPP : -KM_ECONNREFUSED);
	return KM_DENY;
}

#endif
