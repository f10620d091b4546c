/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* connect() by a socket of an enrolled cgroup: where it goes, and what its storage says afterwards. */
#ifndef KMESH_LIB_CONNECT_H
#define KMESH_LIB_CONNECT_H

#include "lib/balance.bpf.h"
#include "lib/lookup.bpf.h"
#include "lib/storage.bpf.h"
#include "lib/waypoint.bpf.h"
#include "lib/waypoint_port.bpf.h"

/* What a connect or sendmsg hook can write into its address. */
enum km_reach {
	KM_REACH_4 = 1,
	KM_REACH_6 = 2,
};

km_inline bool km_reaches(const union km_addr *addr, __u32 reach)
{
	return reach & (km_addr_is4(addr) ? KM_REACH_4 : KM_REACH_6);
}

/* Storages of one connecting socket. */
struct km_held {
	struct km_sock *own; /* of the socket that is dialled: counts */
	struct km_sock *shown; /* of the MPTCP socket around it, which getpeername asks; NULL for any other */
};

/* The first subflow of an MPTCP socket is made by the kernel at connect(), without sock_create's storage. Not the way of others. */
km_aside __u32 km_hold_late(struct bpf_sock *sk, struct km_sock *fresh, struct km_held *held)
{
	struct mptcp_sock *around = bpf_skc_to_mptcp_sock(sk);
	__u32 why = KM_FOUND;

	if (around) {
		/* A further path of a connection that is open: its destination was chosen already. */
		if ((void *)around->first != (void *)sk)
			why = KM_REASON_MPTCP_JOIN;
		else
			held->shown = bpf_sk_storage_get(&sock, around, fresh, BPF_SK_STORAGE_GET_F_CREATE);
		fresh->flags |= KM_SOCK_SUBFLOW;
	} else {
		km_count(KM_REASON_LATE_ENROLLED);
	}
	if (!held->own)
		held->own = bpf_sk_storage_get(&sock, sk, fresh, BPF_SK_STORAGE_GET_F_CREATE);
	return why;
}

/* `own`: storage of the socket, NULL when it has none yet. */
km_inline __u32 km_hold(struct bpf_sock *sk, const struct km_search *search, const struct km_identity *who,
			__u8 protocol, struct km_sock *own, struct km_held *held)
{
	held->shown = NULL;
	held->own = own;
	if (km_unlikely(!own || own->flags & KM_SOCK_SUBFLOW)) {
		struct km_sock fresh = {.flags = protocol == KM_IPPROTO_UDP ? KM_SOCK_UDP : 0};
		__u32 why;

		km_set_identity(&fresh, search, who);
		why = km_hold_late(sk, &fresh, held);
		if (why != KM_FOUND)
			return why;
	}
	if (held->shown) {
		km_forget(held->shown);
		km_set_identity(held->shown, search, who);
	}
	if (held->own)
		km_forget(held->own);
	return KM_FOUND;
}

/* KM_FOUND and *chosen of *range. */
km_inline __u32 km_choose(const struct km_range *range, const struct km_identity *who,
			  const struct km_frontend_key *dialled, __u32 reach, const struct km_endpoint **chosen)
{
	*chosen = km_balance(range, who, km_addr_is4(&dialled->addr));
	if (km_unlikely(!*chosen))
		return KM_REASON_TORN_BACKEND;
	return km_likely(km_reaches(&(*chosen)->addr, reach)) ? KM_FOUND : KM_REASON_FAMILY;
}

/* BALANCED or WAYPOINT and *to, or why the destination stays or the call is refused. */
km_inline __u32 km_lead(struct bpf_sock *sk, const struct km_identity *who, const struct km_held *held,
			const struct km_frontend_key *dialled, __u32 reach, const struct km_endpoint **to)
{
	const struct km_endpoint *chosen;
	__u32 why, service_id = 0;
	struct km_range range;
	bool via = false;

	why = km_find_any_range(dialled, who->workload_id, &range);
	if (why != KM_FOUND)
		return why;
	if (km_unlikely(range.header->flags & KM_BACKEND_VIA) && dialled->protocol == KM_IPPROTO_TCP) {
		__u32 first = 0;

		why = km_find_way(range.first, dialled->port, who, &first);
		via = why == KM_REASON_WAYPOINT;
		if (via) {
			service_id = range.header->service_id;
			if (!km_same_range(first, &range))
				return KM_REASON_TORN_BACKEND;
		} else if (why == KM_REASON_WAYPOINT_OWN || why == KM_REASON_WAYPOINT_DIRECT ||
			   why == KM_REASON_SERVER_FIRST_DIRECT) {
			km_count(why);
		} else {
			return why;
		}
	}
	if (km_likely(!via)) {
		why = km_check_range(&range);
		if (why != KM_FOUND)
			return why;
	}
	why = km_choose(&range, who, dialled, reach, &chosen);
	if (why != KM_FOUND)
		return why;
	if (km_unlikely(!held->own))
		return KM_REASON_STORAGE_FULL;
	if (km_unlikely(via) && chosen->flags) {
		why = km_may_carry(sk, held->own);
		if (why != KM_FOUND)
			return why;
	}
	km_remember(held->own, dialled, &range, chosen);
	if (held->shown)
		km_remember(held->shown, dialled, &range, chosen);
	*to = chosen;
	if (km_likely(!via))
		return KM_REASON_BALANCED;
	held->own->flags |= KM_SOCK_VIA;
	held->own->service_id = service_id;
	held->own->header = chosen->flags;
	return KM_REASON_WAYPOINT;
}

/* Of a connection that would go on as `why` says: to `to`, or where it was dialled. Back to nowhere when it may not go there. */
km_aside __u32 km_keep_from(__u32 why, const struct km_identity *who, const struct km_held *held,
			    const struct km_frontend_key *dialled, const struct km_endpoint **to)
{
	const struct km_endpoint *chosen = *to;
	struct km_frontend_key goal = *dialled;

	if (km_refuses(why))
		return why;
	if (chosen) {
		goal.addr = chosen->addr;
		goal.port = km_port_at(chosen, dialled);
	}
	if (!km_is_waypoint_port(&goal, who->workload_id, who->flags))
		return why;
	*to = NULL;
	if (held->own)
		km_forget(held->own);
	if (held->shown)
		km_forget(held->shown);
	return KM_REASON_WAYPOINT_PORT;
}

/* The same as km_lead, but for ports where waypoints read a header and none is written. */
km_inline __u32 km_connect(struct bpf_sock *sk, const struct km_identity *who, const struct km_held *held,
			   const struct km_frontend_key *dialled, __u32 reach, const struct km_endpoint **to)
{
	const __u32 why = km_lead(sk, who, held, dialled, reach, to);
	const __be16 port = *to ? km_port_at(*to, dialled) : dialled->port;

	/* One is written. */
	if (why == KM_REASON_WAYPOINT && held->own && held->own->header)
		return why;
	if (dialled->protocol == KM_IPPROTO_TCP && km_unlikely(km_maybe_waypoint_port(port)))
		return km_keep_from(why, who, held, dialled, to);
	return why;
}

#endif
