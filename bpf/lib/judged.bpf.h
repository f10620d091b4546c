/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Connections that exist, judged again. */
#ifndef KMESH_LIB_JUDGED_H
#define KMESH_LIB_JUDGED_H

#include "lib/authz.bpf.h"
#include "lib/denial.bpf.h"
#include "lib/peers.bpf.h"

/*
 * Judges a connection that its peer opened; true: it is denied. Counted is nothing: it was, when it came. What a pod sends to itself is
 * not judged.
 */
km_inline bool km_judge_open(const struct sock_common *sk, struct km_denial *asked)
{
	km_peer_of(sk, &asked->source);
	km_local_of(sk, &asked->destination);
	if (km_addr_equal(&asked->source, &asked->destination) || km_is_loopback(&asked->source) ||
	    km_is_in(&asked->source, km_netns_of(sk)))
		return false;
	asked->time_ns = 0;
	asked->source_port = sk->skc_dport;
	asked->destination_port = bpf_htons(sk->skc_num);
	asked->protocol = KM_IPPROTO_TCP;
	asked->lost = 0;
	km_judge(asked);
	return km_is_denied(asked);
}

#endif
