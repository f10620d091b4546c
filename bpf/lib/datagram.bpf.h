/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Datagrams of sockets that are not connected: one endpoint for each {socket, service}, and replies under the service's address. */
#ifndef KMESH_LIB_DATAGRAM_H
#define KMESH_LIB_DATAGRAM_H

#include "lib/balance.bpf.h"
#include "lib/connect.bpf.h"
#include "lib/lookup.bpf.h"
#include "lib/storage.bpf.h"

km_inline struct km_udp_key km_udp_key_of(__u64 cookie, const union km_addr *addr, __be16 port)
{
	struct km_udp_key key = {.cookie = cookie, .addr = *addr, .port = port};

	return key;
}

/*
 * The endpoint of a flow while it is a member of the range. The LRU may give the element to another key while this reads it:
 * only what the range itself holds is believed.
 */
km_inline const struct km_endpoint *km_flow_endpoint(const struct km_range *range, struct km_udp_flow *flow)
{
	const struct km_endpoint *slot = km_slot(range, flow->index);
	union km_addr addr = flow->addr;
	const __u32 workload_id = flow->workload_id;
	const __be16 port = flow->port;
	int index;

	if (slot && slot->workload_id == workload_id && slot->port == port && km_addr_equal(&slot->addr, &addr))
		return slot;
	index = km_member(range, workload_id, &addr, port);
	if (index < 0)
		return NULL;
	flow->index = index;
	return km_slot(range, index);
}

km_inline const struct km_endpoint *km_new_flow(const struct km_range *range, const struct km_identity *who,
						const struct km_udp_key *key, __u32 reach, __u32 *why)
{
	const struct km_endpoint *chosen = km_balance(range, who, km_addr_is4(&key->addr));
	struct km_udp_flow flow = {.backend_id = range->backend_id};

	if (!chosen) {
		*why = KM_REASON_TORN_BACKEND;
		return NULL;
	}
	if (!km_reaches(&chosen->addr, reach)) {
		*why = KM_REASON_FAMILY;
		return NULL;
	}
	flow.addr = chosen->addr;
	flow.port = chosen->port;
	flow.workload_id = chosen->workload_id;
	/* Not its index: a choice does not tell it. The next datagram finds it by bisection and notes it. */
	if (bpf_map_update_elem(&udp_flow, key, &flow, BPF_ANY)) {
		*why = KM_REASON_UDP_FLOW_FULL;
		return NULL;
	}
	return chosen;
}

/*
 * A connected socket that names its own service once more: the endpoint it is connected to, since the kernel drops what any other
 * answers. NULL: another service, or that endpoint has left.
 */
km_inline const struct km_endpoint *
km_connected_endpoint(const struct km_sock *held, const struct km_frontend_key *dialled, const struct km_range *range)
{
	union km_addr addr;
	int index;

	if (!(held->flags & KM_SOCK_TRANSLATED) || held->orig_port != dialled->port ||
	    !km_addr_equal(&held->orig_addr, &dialled->addr))
		return NULL;
	addr = held->backend_addr;
	index = km_member(range, held->peer_workload_id, &addr, held->backend_port);
	return index < 0 ? NULL : km_slot(range, index);
}

/* BALANCED and *to, or why the datagram is refused. `held`: the socket's storage. */
km_inline __u32 km_flow(struct km_sock *held, __u64 cookie, const struct km_identity *who,
			const struct km_frontend_key *dialled, const struct km_range *range, __u32 reach,
			const struct km_endpoint **to)
{
	struct km_udp_key key = km_udp_key_of(cookie, &dialled->addr, dialled->port);
	struct km_udp_flow *flow = bpf_map_lookup_elem(&udp_flow, &key);
	const struct km_endpoint *chosen = flow ? km_flow_endpoint(range, flow) : NULL;
	const struct km_udp_reverse *reverse;
	__u32 why = KM_REASON_BALANCED;

	if (!chosen) {
		chosen = km_new_flow(range, who, &key, reach, &why);
		if (!chosen)
			return why;
		if (flow)
			km_count(KM_REASON_UDP_REBALANCED);
	}
	/* Asked for at every datagram: it must not age out of its LRU while the flow is in use. */
	key = km_udp_key_of(cookie, &chosen->addr, chosen->port);
	reverse = bpf_map_lookup_elem(&udp_reverse, &key);
	if (!reverse || reverse->port != dialled->port || !km_addr_equal(&reverse->addr, &dialled->addr)) {
		const struct km_udp_reverse origin = {.addr = dialled->addr, .port = dialled->port};

		if (bpf_map_update_elem(&udp_reverse, &key, &origin, BPF_ANY))
			return KM_REASON_UDP_FLOW_FULL;
	}
	held->flags |= KM_SOCK_FLOWS;
	*to = chosen;
	return KM_REASON_BALANCED;
}

/* A datagram that goes to `addr` as it is: its reply is not a service's, even if an earlier one from there was. */
km_inline void km_flow_direct(__u64 cookie, const union km_addr *addr, __be16 port)
{
	const struct km_udp_key key = km_udp_key_of(cookie, addr, port);

	if (bpf_map_lookup_elem(&udp_reverse, &key))
		bpf_map_delete_elem(&udp_reverse, &key);
}

/* The service address to show as the source of a datagram from `addr`; false: as it is. */
km_inline bool km_reply_source(const struct km_sock *held, bool connected, __u64 cookie, union km_addr *addr,
			       __be16 *port)
{
	const struct km_udp_reverse *origin;
	struct km_udp_key key;

	/* A socket that was disconnected keeps what it had dialled, but it counts no more. */
	if (connected && km_went_to(held, addr, *port)) {
		*addr = held->orig_addr;
		*port = held->orig_port;
		return true;
	}
	if (!(held->flags & KM_SOCK_FLOWS))
		return false;
	key = km_udp_key_of(cookie, addr, *port);
	origin = bpf_map_lookup_elem(&udp_reverse, &key);
	if (!origin)
		return false;
	*addr = origin->addr;
	*port = origin->port;
	/* Still there: so the LRU had not given the element to another key before it was read. */
	return bpf_map_lookup_elem(&udp_reverse, &key) == origin;
}

#endif
