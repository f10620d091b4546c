/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Both ends of a connection, and where they are. */
#ifndef KMESH_LIB_PEERS_H
#define KMESH_LIB_PEERS_H

#include "lib/addr.bpf.h"
#include "maps/pod.bpf.h"

km_inline void km_peer_of(const struct sock_common *sk, union km_addr *addr)
{
	int i;

	if (sk->skc_family == KM_AF_INET) {
		km_addr_set4(addr, sk->skc_daddr);
		return;
	}
#pragma unroll
	for (i = 0; i < 4; i++)
		addr->w[i] = sk->skc_v6_daddr.in6_u.u6_addr32[i];
}

km_inline void km_local_of(const struct sock_common *sk, union km_addr *addr)
{
	int i;

	if (sk->skc_family == KM_AF_INET) {
		km_addr_set4(addr, sk->skc_rcv_saddr);
		return;
	}
#pragma unroll
	for (i = 0; i < 4; i++)
		addr->w[i] = sk->skc_v6_rcv_saddr.in6_u.u6_addr32[i];
}

km_inline __u32 km_netns_of(const struct sock_common *sk)
{
	return sk->skc_net.net->ns.inum;
}

km_inline bool km_is_loopback(const union km_addr *addr)
{
	if (km_addr_is4(addr))
		return bpf_ntohl(addr->w[3]) >> 24 == 127;
	return !(addr->w[0] | addr->w[1] | addr->w[2]) && addr->w[3] == bpf_htonl(1);
}

/* True: what has this address is in `netns`, among what is judged. */
km_inline bool km_is_in(const union km_addr *addr, __u32 netns)
{
	const struct km_pod *pod = bpf_map_lookup_elem(&pod_address, addr);

	return pod && pod->netns == netns;
}

#endif
