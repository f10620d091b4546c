/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is remembered in a socket: who it belongs to, what it dialled, where that went. */
#ifndef KMESH_LIB_STORAGE_H
#define KMESH_LIB_STORAGE_H

#include "lib/addr.bpf.h"
#include "lib/enrolment.bpf.h"
#include "lib/range.bpf.h"
#include "maps/state.bpf.h"

/* The service address of a connected socket is shown only for the very peer it was rewritten to. */
km_inline bool km_went_to(const struct km_sock *held, const union km_addr *peer, __be16 port)
{
	return held->flags & KM_SOCK_TRANSLATED && held->backend_port == port &&
	       km_addr_equal(&held->backend_addr, peer);
}

/* Spares those who have no storage of any kind, as most sockets of a host, the call of a helper. `sk`: any full socket. */
km_inline bool km_may_hold(const void *sk)
{
	return km_kernel_cast(struct sock, sk)->sk_bpf_storage;
}

km_inline void km_set_identity(struct km_sock *held, const struct km_search *search, const struct km_identity *who)
{
	held->cgroup_id = who->cgroup_id;
	held->workload_id = who->workload_id;
	held->epoch = search->epoch;
	held->flags &= ~(KM_SOCK_ENFORCED | KM_SOCK_WAYPOINT);
	held->flags |= KM_SOCK_ENROLLED;
	if (who->flags & KM_ENROLLED_AUTHZ)
		held->flags |= KM_SOCK_ENFORCED;
	if (who->flags & KM_ENROLLED_WAYPOINT)
		held->flags |= KM_SOCK_WAYPOINT;
}

_Static_assert(KM_SOCK_ENFORCED >> 5 == KM_ENROLLED_AUTHZ && KM_SOCK_WAYPOINT >> 6 == KM_ENROLLED_WAYPOINT, "shifts");

/* KM_ENROLLED_* by KM_SOCK_* */
km_inline __u32 km_enrolled_as(__u32 flags)
{
	return (flags >> 5 & KM_ENROLLED_AUTHZ) | (flags >> 6 & KM_ENROLLED_WAYPOINT);
}

/* Looked up for the first time in this epoch, and kept in the socket. */
km_aside bool km_identify_anew(struct km_search *search, struct km_identity *who, struct km_sock *held)
{
	const bool enrolled_now = km_search_look_up(search, who);

	if (held && enrolled_now) {
		km_set_identity(held, search, who);
	} else if (held) {
		held->flags &= ~KM_SOCK_ENROLLED;
		held->epoch = search->epoch;
	}
	return enrolled_now;
}

/*
 * Whose socket it is, from its storage when that was found in this epoch, else looked up and kept there. NULL in *held: it has no
 * storage. False: not enrolled.
 */
km_inline bool km_identify_held(struct bpf_sock *sk, struct km_search *search, struct km_identity *who,
				struct km_sock **held)
{
	if (!km_search_start(sk, search) || km_likely(!km_search_next(search, &who->cgroup_id)))
		return false;
	*held = bpf_sk_storage_get(&sock, sk, NULL, 0);
	if (km_unlikely(!*held || (*held)->epoch != search->epoch || search->epoch & 1))
		return km_identify_anew(search, who, *held);
	who->cgroup_id = (*held)->cgroup_id;
	who->workload_id = (*held)->workload_id;
	who->flags = km_enrolled_as((*held)->flags);
	return (*held)->flags & KM_SOCK_ENROLLED;
}

km_aside void km_uncount(struct km_sock *held)
{
	const __u32 id = held->peer_workload_id;
	struct km_active *open;

	held->flags &= ~KM_SOCK_COUNTED;
	open = bpf_map_lookup_elem(&active, &id);
	if (open)
		__sync_fetch_and_add(&open->connections, -1);
}

km_inline void km_count_open(struct km_sock *held)
{
	const __u32 id = held->peer_workload_id;
	struct km_active *open = bpf_map_lookup_elem(&active, &id);

	if (!open)
		return;
	held->flags |= KM_SOCK_COUNTED;
	__sync_fetch_and_add(&open->connections, 1);
}

/* What is true of one connection only. */
#define KM_SOCK_CONNECTION                                                                                             \
	(KM_SOCK_TRANSLATED | KM_SOCK_COUNTED | KM_SOCK_VIA | KM_SOCK_ARMED | KM_SOCK_HEADER | KM_SOCK_PROVEN |        \
	 KM_SOCK_PART | KM_SOCK_ENDED)

/* Every connect begins with this: the socket goes nowhere yet, or getpeername would lie after a second connect. */
km_inline void km_forget(struct km_sock *held)
{
	/* Closed without our callback: somebody else's program overwrote the callback flags. */
	if (km_unlikely(held->flags & KM_SOCK_COUNTED))
		km_uncount(held);
	held->flags &= ~(KM_SOCK_CONNECTION | KM_SOCK_ACCEPTED);
}

/* Waypoints may be dialled at whatever port the application named. */
km_inline __be16 km_port_at(const struct km_endpoint *chosen, const struct km_frontend_key *dialled)
{
	return chosen->port ? chosen->port : dialled->port;
}

km_inline void km_remember(struct km_sock *held, const struct km_frontend_key *dialled, const struct km_range *range,
			   const struct km_endpoint *chosen)
{
	held->orig_addr = dialled->addr;
	held->orig_port = dialled->port;
	held->backend_addr = chosen->addr;
	held->backend_port = km_port_at(chosen, dialled);
	held->backend_id = range->backend_id;
	held->peer_workload_id = chosen->workload_id;
	held->generation = range->generation;
	held->flags |= KM_SOCK_TRANSLATED;
}

#endif
