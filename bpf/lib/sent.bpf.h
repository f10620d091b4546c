/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Datagrams that a pod sent from sockets that are not connected: their answers reach it whatever its policies say. */
#ifndef KMESH_LIB_SENT_H
#define KMESH_LIB_SENT_H

#include "lib/peers.bpf.h"

#define KM_SENT_AGAIN_NS 1000000000ull /* an entry is made young again when it is so old */

km_inline void km_remember_sent(const struct bpf_sock *sk, const union km_addr *peer, __be16 port)
{
	const struct sock_common *common = &km_kernel_cast(struct sock, sk)->__sk_common;
	const struct km_sent_key key = {
		.netns = km_netns_of(common),
		.local_port = bpf_htons(common->skc_num),
		.peer_port = port,
		.peer = *peer,
	};
	__u64 now = bpf_ktime_get_coarse_ns();
	__u64 *known = bpf_map_lookup_elem(&sent, &key);

	if (!known || (__s64)(now - *known) >= (__s64)KM_SENT_AGAIN_NS)
		bpf_map_update_elem(&sent, &key, &now, BPF_ANY);
}

/* True: what comes from `peer` answers what went there. */
km_inline bool km_is_reply(const struct km_denial *from)
{
	const struct km_pod *pod = bpf_map_lookup_elem(&pod_address, &from->destination);
	struct km_sent_key key = {
		.local_port = from->destination_port,
		.peer_port = from->source_port,
		.peer = from->source,
	};
	const __u64 *known;

	if (!pod)
		return false;
	key.netns = pod->netns;
	known = bpf_map_lookup_elem(&sent, &key);
	/* Signed: it may have been sent after the clock was read. */
	return known && (__s64)(bpf_ktime_get_coarse_ns() - *known) < (__s64)KM_SENT_NS;
}

#endif
