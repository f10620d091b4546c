/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Packets on a pod's link, as far as they are looked at. The uapi headers of IP cannot be included beside the kernel's own structs. */
#ifndef KMESH_LIB_PACKET_H
#define KMESH_LIB_PACKET_H

#include "lib/addr.bpf.h"
#include "maps/pod.bpf.h"

/* enum tcx_action_base, which older headers lack; NEXT lets other programs have their say. */
#define TCX_NEXT (-1)
#define TCX_DROP 2

#define KM_ETH 14 /* bytes of the header */
#define KM_ETH_IP4 0x0800
#define KM_ETH_ARP 0x0806
#define KM_ETH_VLAN 0x8100
#define KM_ETH_IP6 0x86dd
#define KM_ETH_QINQ 0x88a8

#define KM_IPPROTO_HOPOPTS 0
#define KM_IPPROTO_IGMP 2
#define KM_IPPROTO_ROUTING 43
#define KM_IPPROTO_FRAGMENT 44
#define KM_IPPROTO_AH 51
#define KM_IPPROTO_ICMPV6 58
#define KM_IPPROTO_DSTOPTS 60

#define KM_ICMP6_ROUTER 134
#define KM_ICMP6_NEIGHBOUR 136
#define KM_ICMP6_REDIRECT 137

struct km_ip4 {
	__u8 version_length; /* length of the header in the low half, in words */
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__be32 source;
	__be32 destination;
};

struct km_ip6 {
	__be32 flow;
	__be16 length;
	__u8 next;
	__u8 hops;
	union km_addr source;
	union km_addr destination;
};

struct km_arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_size;
	__u8 protocol_size;
	__be16 operation;
	__u8 sender_hardware[6];
	__u16 sender[2]; /* address, not aligned to its size */
	__u8 target_hardware[6];
	__u16 target[2];
};

/* Neighbour advertisement, or the start of any other message of ICMPv6. */
struct km_neighbour {
	__u8 type;
	__u8 code;
	__be16 check;
	__be32 flags;
	union km_addr target;
};

_Static_assert(sizeof(struct km_ip4) == 20 && sizeof(struct km_ip6) == 40 && sizeof(struct km_arp) == 28,
	       "sizes on the wire");

/* `size` bytes behind the Ethernet header; NULL when the packet is shorter. */
km_inline void *km_pull(struct __sk_buff *skb, __u32 size)
{
	void *start = (void *)(long)skb->data;

	if (km_likely(start + KM_ETH + size <= (void *)(long)skb->data_end))
		return start + KM_ETH;
	if (bpf_skb_pull_data(skb, KM_ETH + size))
		return NULL;
	start = (void *)(long)skb->data;
	return start + KM_ETH + size <= (void *)(long)skb->data_end ? start + KM_ETH : NULL;
}

km_inline bool km_is_group6(const union km_addr *addr)
{
	return bpf_ntohl(addr->w[0]) >> 24 == 0xff;
}

/* True: an address of the pod at the other end of this link. */
km_inline bool km_is_of_link(struct __sk_buff *skb, const union km_addr *addr)
{
	const struct km_pod *pod = bpf_map_lookup_elem(&pod_address, addr);
	const struct sk_buff *held;

	if (km_unlikely(!pod || pod->ifindex != skb->ifindex))
		return false;
	held = bpf_cast_to_kern_ctx(skb);
	return pod->host_netns == held->dev->nd_net.net->ns.inum;
}

#define KM_HEADERS 8 /* Linux takes more, nobody sends them */

/*
 * What an IPv6 packet carries behind its extension headers: -1 when it does not get so far. And where that begins: 0 in a later fragment,
 * which has no more than a part of it.
 */
km_aside int km_payload_of(struct __sk_buff *skb, __u8 next, __u32 *offset)
{
	__u32 at = KM_ETH + sizeof(struct km_ip6);
	bool later = false;
	int i;

	for (i = 0; i < KM_HEADERS; i++) {
		__u8 header[4];

		if (next != KM_IPPROTO_HOPOPTS && next != KM_IPPROTO_ROUTING && next != KM_IPPROTO_FRAGMENT &&
		    next != KM_IPPROTO_AH && next != KM_IPPROTO_DSTOPTS) {
			*offset = later ? 0 : at;
			return next;
		}
		if (bpf_skb_load_bytes(skb, at, header, sizeof(header)))
			return -1;
		if (next == KM_IPPROTO_FRAGMENT) {
			at += 8;
			later |= header[2] || header[3] & 0xf8;
		} else if (next == KM_IPPROTO_AH) {
			at += (header[1] + 2) * 4;
		} else {
			at += (header[1] + 1) * 8;
		}
		next = header[0];
	}
	return -1;
}

#endif
