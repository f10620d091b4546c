/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Addresses: IPv4 becomes v4-mapped at entry and is undone at exit; nothing between knows the family. */
#ifndef KMESH_LIB_ADDR_H
#define KMESH_LIB_ADDR_H

#include "kmesh/abi.h"
#include "kmesh/kernel.h"
#include "lib/hash.bpf.h"
#include <bpf/bpf_endian.h>

km_inline void km_addr_set4(union km_addr *addr, __be32 ip)
{
	addr->w[0] = 0;
	addr->w[1] = 0;
	addr->w[2] = bpf_htonl(0xffff);
	addr->w[3] = ip;
}

km_inline bool km_addr_is4(const union km_addr *addr)
{
	return addr->w[2] == bpf_htonl(0xffff) && !(addr->w[0] | addr->w[1]);
}

km_inline bool km_addr_is_zero(const union km_addr *addr)
{
	return !(addr->w[0] | addr->w[1] | addr->w[2] | addr->w[3]);
}

km_inline bool km_addr_equal(const union km_addr *a, const union km_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) | (a->w[3] ^ b->w[3]));
}

/* 127.0.0.0/8 and ::1, by which a network calls itself, and 0.0.0.0 and ::, where connect() goes to these. */
km_inline bool km_is_itself(const union km_addr *addr)
{
	const __u32 last = bpf_ntohl(addr->w[3]);

	if (km_addr_is4(addr))
		return last >> 24 == 127 || !last;
	return !(addr->w[0] | addr->w[1] | addr->w[2]) && last <= 1;
}

/* fe80::/10: everybody has some of their own on each link. */
km_inline bool km_is_link_local(const union km_addr *addr)
{
	return bpf_ntohl(addr->w[0]) >> 22 == 0xfe80 >> 6;
}

/* -1, 0, 1 by the 16 bytes in order. Not a loop: the verifier would walk it for every step of a bisection. */
km_inline int km_addr_compare(const union km_addr *a, const union km_addr *b)
{
	if (a->w[0] != b->w[0])
		return bpf_ntohl(a->w[0]) < bpf_ntohl(b->w[0]) ? -1 : 1;
	if (a->w[1] != b->w[1])
		return bpf_ntohl(a->w[1]) < bpf_ntohl(b->w[1]) ? -1 : 1;
	if (a->w[2] != b->w[2])
		return bpf_ntohl(a->w[2]) < bpf_ntohl(b->w[2]) ? -1 : 1;
	if (a->w[3] != b->w[3])
		return bpf_ntohl(a->w[3]) < bpf_ntohl(b->w[3]) ? -1 : 1;
	return 0;
}

#endif
