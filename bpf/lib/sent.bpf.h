/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Datagrams that a pod sent of its own accord from sockets that are not connected: their answers reach it whatever its policies say.
 * Who sent first is remembered for both ways, or a server's answers would keep in whom a policy shuts out meanwhile.
 */
#ifndef KMESH_LIB_SENT_H
#define KMESH_LIB_SENT_H

#include "lib/peers.bpf.h"

#define KM_SENT_AGAIN_NS KM_NS_PER_SECOND /* an entry is made young again when it is so old */

/* How old an entry is. Less than nothing: another CPU wrote it just now, or it says who began in its lowest bit. */
km_inline __s64 km_sent_age(const __u64 *known, __u64 now)
{
	return now - *known;
}

/* True: there is an entry that still counts, and it says who began. */
km_inline bool km_flow_is(const __u64 *known, __u64 now, __u64 who)
{
	return known && (*known & KM_SENT_HEARD) == who && km_sent_age(known, now) < (__s64)KM_SENT_NS;
}

km_inline void km_remember_sent(const struct bpf_sock *sk, const union km_addr *peer, __be16 port)
{
	const struct sock_common *common = &km_kernel_cast(struct sock, sk)->__sk_common;
	const struct km_sent_key key = {
		.netns = km_netns_of(common),
		.local_port = bpf_htons(common->skc_num),
		.peer_port = port,
		.peer = *peer,
	};
	__u64 now = bpf_ktime_get_coarse_ns() & ~KM_SENT_HEARD;
	__u64 *known = bpf_map_lookup_elem(&sent, &key);

	/* An answer to what came in: who may go on with that is for the policies to say. */
	if (km_flow_is(known, now, KM_SENT_HEARD))
		return;
	if (!known || *known & KM_SENT_HEARD || km_sent_age(known, now) >= (__s64)KM_SENT_AGAIN_NS)
		bpf_map_update_elem(&sent, &key, &now, BPF_ANY);
}

/* The key of the datagrams between the two; false: the destination is no address of a pod that is judged. */
km_inline bool km_flow_of(const struct km_denial *from, struct km_sent_key *key)
{
	const struct km_pod *pod = bpf_map_lookup_elem(&pod_address, &from->destination);

	if (!pod)
		return false;
	key->netns = pod->netns;
	key->local_port = from->destination_port;
	key->peer_port = from->source_port;
	key->peer = from->source;
	return true;
}

/* True: what comes from `peer` answers what went there. */
km_inline bool km_is_reply(const struct km_denial *from)
{
	struct km_sent_key key;

	return km_flow_of(from, &key) &&
	       km_flow_is(bpf_map_lookup_elem(&sent, &key), bpf_ktime_get_coarse_ns(), 0);
}

/* A datagram was let in that answers nothing: answers to it are not the pod's own beginning. */
km_inline void km_remember_heard(const struct km_denial *from)
{
	__u64 now = bpf_ktime_get_coarse_ns() | KM_SENT_HEARD;
	struct km_sent_key key;
	const __u64 *known;

	if (!km_flow_of(from, &key))
		return;
	known = bpf_map_lookup_elem(&sent, &key);
	if (!known || !(*known & KM_SENT_HEARD) || km_sent_age(known, now) >= (__s64)KM_SENT_AGAIN_NS)
		bpf_map_update_elem(&sent, &key, &now, BPF_ANY);
}

#endif
