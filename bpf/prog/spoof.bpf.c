// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * At the host's side of a pod's link: what the pod sends carries its own addresses, and what would reach it without being looked up does
 * not get in.
 */
#include "lib/packet.bpf.h"
#include "lib/reason.bpf.h"

char LICENSE[] SEC("license") = "GPL";

km_inline int km_drop(__u32 why)
{
	km_count(why);
	return TCX_DROP;
}

/* What speaks before it has an address: DHCP and IGMP. */
km_inline bool km_may_be_unset4(const struct km_ip4 *ip)
{
	return !ip->source && (ip->protocol == KM_IPPROTO_IGMP ||
			       (ip->protocol == KM_IPPROTO_UDP && ip->destination == ~0u));
}

km_inline int km_from4(struct __sk_buff *skb)
{
	const struct km_ip4 *ip = km_pull(skb, sizeof(*ip));
	union km_addr source;

	if (!ip)
		return km_drop(KM_REASON_SPOOFED);
	if (km_unlikely(km_may_be_unset4(ip)))
		return TCX_NEXT;
	km_addr_set4(&source, ip->source);
	return km_is_of_link(skb, &source) ? TCX_NEXT : km_drop(KM_REASON_SPOOFED);
}

/* Who has an address on the link, and who is a router. */
km_aside int km_from_neighbour(struct __sk_buff *skb, __u8 next)
{
	struct km_neighbour message;
	__u32 offset;
	int carried;

	carried = km_payload_of(skb, next, &offset);
	if (carried < 0)
		return km_drop(KM_REASON_SPOOFED);
	/* The type by itself: what a router says may be shorter than what a neighbour says. */
	if (carried != KM_IPPROTO_ICMPV6 || !offset || bpf_skb_load_bytes(skb, offset, &message.type, 1))
		return TCX_NEXT;
	if (message.type == KM_ICMP6_ROUTER || message.type == KM_ICMP6_REDIRECT)
		return km_drop(KM_REASON_SPOOFED);
	if (message.type != KM_ICMP6_NEIGHBOUR || bpf_skb_load_bytes(skb, offset, &message, sizeof(message)) ||
	    km_is_link_local(&message.target) || km_is_of_link(skb, &message.target))
		return TCX_NEXT;
	return km_drop(KM_REASON_SPOOFED);
}

/* From a link-local address: to its like and to groups, and elsewhere what finds neighbours, or DENY by identity would not be met. */
km_inline bool km_may_be_nobody(const struct km_ip6 *ip)
{
	return ip->next == KM_IPPROTO_ICMPV6 || km_is_link_local(&ip->destination) || km_is_group6(&ip->destination);
}

km_inline int km_from6(struct __sk_buff *skb)
{
	const struct km_ip6 *ip = km_pull(skb, sizeof(*ip));
	union km_addr source;
	__u8 next;

	if (!ip)
		return km_drop(KM_REASON_SPOOFED);
	next = ip->next;
	source = ip->source;
	if (km_unlikely(!km_is_of_link(skb, &source))) {
		/* Without an address: asks whether anybody has one, joins groups. Link-local ones are nobody's identity. */
		if (km_addr_is_zero(&source)) {
			if (next != KM_IPPROTO_ICMPV6 && next != KM_IPPROTO_HOPOPTS)
				return km_drop(KM_REASON_SPOOFED);
		} else if (!km_is_link_local(&source) || !km_may_be_nobody(ip)) {
			return km_drop(KM_REASON_SPOOFED);
		}
	}
	if (km_likely(next == KM_IPPROTO_TCP || next == KM_IPPROTO_UDP))
		return TCX_NEXT;
	return km_from_neighbour(skb, next);
}

km_inline int km_from_arp(struct __sk_buff *skb)
{
	const struct km_arp *arp = km_pull(skb, sizeof(*arp));
	union km_addr sender;

	if (!arp)
		return km_drop(KM_REASON_SPOOFED);
	km_addr_set4(&sender, arp->sender[0] | (__u32)arp->sender[1] << 16);
	/* 0.0.0.0 asks whether anybody has an address. */
	return !sender.w[3] || km_is_of_link(skb, &sender) ? TCX_NEXT : km_drop(KM_REASON_SPOOFED);
}

/* Ingress. Nothing but IP and ARP: what it carries inside of something else nobody would check. */
SEC("tc")
int spoof(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(KM_ETH_IP4))
		return km_from4(skb);
	if (skb->protocol == bpf_htons(KM_ETH_IP6))
		return km_from6(skb);
	if (skb->protocol == bpf_htons(KM_ETH_ARP))
		return km_from_arp(skb);
	return km_drop(KM_REASON_SPOOFED);
}

/* DHCP answers a client that has no address yet. */
km_aside bool km_is_dhcp(struct __sk_buff *skb, __u8 version_length)
{
	__be16 ports[2];

	return !bpf_skb_load_bytes(skb, KM_ETH + (version_length & 15) * 4, ports, sizeof(ports)) &&
	       ports[0] == bpf_htons(67) && ports[1] == bpf_htons(68);
}

/*
 * A datagram to what is no address of the pod goes to a group, or to a broadcast address that only the pod knows as one. One that comes
 * from an address of the pod would be taken for the pod's own; over TCP nobody gets far with that.
 */
km_inline int km_to4(struct __sk_buff *skb)
{
	const struct km_ip4 *ip = km_pull(skb, sizeof(*ip));
	union km_addr destination, source;

	if (!ip || ip->protocol == KM_IPPROTO_UDPLITE)
		return km_drop(KM_REASON_GROUP_DROPPED);
	if (ip->protocol != KM_IPPROTO_UDP)
		return TCX_NEXT;
	km_addr_set4(&destination, ip->destination);
	km_addr_set4(&source, ip->source);
	if (km_unlikely(km_is_of_link(skb, &source)))
		return km_drop(KM_REASON_SPOOFED);
	if (km_likely(km_is_of_link(skb, &destination)) || km_is_dhcp(skb, ip->version_length))
		return TCX_NEXT;
	return km_drop(KM_REASON_GROUP_DROPPED);
}

/* Groups are for finding neighbours and routers. */
km_inline int km_to6(struct __sk_buff *skb)
{
	const struct km_ip6 *ip = km_pull(skb, sizeof(*ip));
	union km_addr source;
	__u32 offset;
	bool group;
	int carried;

	if (!ip)
		return km_drop(KM_REASON_GROUP_DROPPED);
	group = km_is_group6(&ip->destination);
	carried = ip->next;
	if (carried == KM_IPPROTO_ICMPV6 || (!group && carried == KM_IPPROTO_TCP))
		return TCX_NEXT;
	source = ip->source;
	if (km_unlikely(km_is_of_link(skb, &source)))
		return km_drop(KM_REASON_SPOOFED);
	if (!group && carried == KM_IPPROTO_UDP)
		return TCX_NEXT;
	carried = km_payload_of(skb, carried, &offset);
	if (carried == KM_IPPROTO_ICMPV6 || (!group && carried >= 0 && carried != KM_IPPROTO_UDPLITE))
		return TCX_NEXT;
	return km_drop(KM_REASON_GROUP_DROPPED);
}

/*
 * Egress: the kernel gives datagrams to groups and of UDP-Lite to sockets without asking the program that judges. A pod takes off
 * VLAN tags by itself, so what is behind them does not get in.
 */
SEC("tc")
int no_group(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(KM_ETH_IP4))
		return km_to4(skb);
	if (skb->protocol == bpf_htons(KM_ETH_IP6))
		return km_to6(skb);
	if (skb->protocol == bpf_htons(KM_ETH_VLAN) || skb->protocol == bpf_htons(KM_ETH_QINQ))
		return km_drop(KM_REASON_GROUP_DROPPED);
	return TCX_NEXT;
}
