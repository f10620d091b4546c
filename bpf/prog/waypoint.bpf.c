// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* What a waypoint reads first: who calls whom. */
#include "lib/peers.bpf.h"
#include "lib/proof.bpf.h"
#include "lib/reason.bpf.h"
#include "lib/storage.bpf.h"
#include "maps/waypoint.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define KM_HEAD_WORDS 13

/* The part of a header before its variable ones. */
struct km_head {
	__u32 length; /* in use */
	__u32 w[KM_HEAD_WORDS];
};

#define KM_PROXY_4 28u
#define KM_PROXY_6 52u
#define KM_KMESH_4 16u
#define KM_KMESH_6 28u
#define KM_PROXY_TLV_NOOP 4

/* Sixteen bits, the one that goes first in the lower ones as the machine counts. */
km_inline __u32 km_pair(__be16 one, __be16 two)
{
	return one | (__u32)two << 16;
}

km_inline void km_put_address(__u32 *w, const union km_addr *addr)
{
	w[0] = addr->w[0];
	w[1] = addr->w[1];
	w[2] = addr->w[2];
	w[3] = addr->w[3];
}

/* PROXY protocol, version 2: from the socket's own address to what was dialled. `more`: bytes of the parts that follow. */
km_inline void km_proxy_head(struct km_head *head, const struct sock_common *sk, const struct km_sock *held, __u32 more)
{
	const __be16 port = bpf_htons(sk->skc_num);
	union km_addr local;

	km_local_of(sk, &local);
	head->w[0] = bpf_htonl(0x0d0a0d0a);
	head->w[1] = bpf_htonl(0x000d0a51);
	head->w[2] = bpf_htonl(0x5549540a);
	if (km_addr_is4(&local) && km_addr_is4(&held->orig_addr)) {
		head->length = KM_PROXY_4;
		head->w[3] = bpf_htonl(0x21110000 | (KM_PROXY_4 - 16 + more));
		head->w[4] = local.w[3];
		head->w[5] = held->orig_addr.w[3];
		head->w[6] = km_pair(port, held->orig_port);
		return;
	}
	head->length = KM_PROXY_6;
	head->w[3] = bpf_htonl(0x21210000 | (KM_PROXY_6 - 16 + more));
	km_put_address(&head->w[4], &local);
	km_put_address(&head->w[8], &held->orig_addr);
	head->w[12] = km_pair(port, held->orig_port);
}

/* Type 1, length, address, port; type 0xfe, length 0. */
km_inline void km_kmesh_head(struct km_head *head, const struct km_sock *held)
{
	const __u32 port = bpf_ntohs(held->orig_port);
	__u32 a, b, c, d;

	if (km_addr_is4(&held->orig_addr)) {
		a = bpf_ntohl(held->orig_addr.w[3]);
		head->length = KM_KMESH_4;
		head->w[0] = bpf_htonl(0x01000000);
		head->w[1] = bpf_htonl(6u << 24 | a >> 8);
		head->w[2] = bpf_htonl(a << 24 | port << 8 | 0xfe);
		head->w[3] = 0;
		return;
	}
	a = bpf_ntohl(held->orig_addr.w[0]);
	b = bpf_ntohl(held->orig_addr.w[1]);
	c = bpf_ntohl(held->orig_addr.w[2]);
	d = bpf_ntohl(held->orig_addr.w[3]);
	head->length = KM_KMESH_6;
	head->w[0] = bpf_htonl(0x01000000);
	head->w[1] = bpf_htonl(18u << 24 | a >> 8);
	head->w[2] = bpf_htonl(a << 24 | b >> 8);
	head->w[3] = bpf_htonl(b << 24 | c >> 8);
	head->w[4] = bpf_htonl(c << 24 | d >> 8);
	head->w[5] = bpf_htonl(d << 24 | port << 8 | 0xfe);
	head->w[6] = 0;
}

#define KM_JOINED_MOST 16384u

/* Of what someone may be writing: none when it cannot be right. */
km_inline __u32 km_length(__u32 length, __u32 most)
{
	return length < 4 || length > most ? 0 : length;
}

/* Puts the parts at offset `at` of the message; zeros where there are none. False: there is no room for them. */
km_inline bool km_put_tlvs(struct sk_msg_md *msg, __u32 at, const __u8 *from, __u32 length, __u32 most)
{
	const __u32 last = length - 4;
	__u8 *to = (__u8 *)(long)msg->data;
	void *end = (void *)(long)msg->data_end;
	__u32 i;

	if (at > KM_HEADER_MOST || last > most - 4)
		return false;
	to += at;
	for (i = 0; i < most - 4; i += 4) {
		if (i >= last)
			break;
		if ((void *)(to + i + 4) > end)
			return false;
		*(__u32 *)(to + i) = from ? *(const __u32 *)(from + i) : 0;
	}
	/* The last four, some of them for the second time. */
	to += last;
	if ((void *)(to + 4) > end)
		return false;
	*(__u32 *)to = from ? *(const __u32 *)(from + last) : 0;
	return true;
}

/* A part that says nothing, in place of those whose entry became another's while it was read. What that memory held before stays here. */
km_apart bool km_put_nothing(struct sk_msg_md *msg, __u32 at, __u32 length)
{
	void *end;
	__u8 *to;

	if (at > KM_HEADER_MOST || !km_put_tlvs(msg, at, NULL, length, KM_CLIENT_TLVS))
		return false;
	to = (__u8 *)(long)msg->data + at;
	end = (void *)(long)msg->data_end;
	if ((void *)(to + 3) > end)
		return false;
	to[0] = KM_PROXY_TLV_NOOP;
	to[1] = (length - 3) >> 8;
	to[2] = length - 3;
	return true;
}

_Static_assert(KM_CLIENT_TLVS >= KM_SERVICE_TLVS, "km_put_nothing");

km_apart bool km_put_client(struct sk_msg_md *msg, __u32 at, const struct km_waypoint_client *entry, __u32 length)
{
	return entry && entry->length == length && km_put_tlvs(msg, at, entry->tlvs, length, KM_CLIENT_TLVS);
}

km_apart bool km_put_service(struct sk_msg_md *msg, __u32 at, const struct km_waypoint_service *entry, __u32 length)
{
	return entry && entry->length == length && km_put_tlvs(msg, at, entry->tlvs, length, KM_SERVICE_TLVS);
}

km_inline __u32 km_id_now(const __u32 *id)
{
	return *(const volatile __u32 *)id;
}

/* Parts of both, one after the other. */
km_inline bool km_put_parts(struct sk_msg_md *msg, __u32 at, const struct km_sock *held,
			    const struct km_waypoint_client *caller, __u32 caller_length,
			    const struct km_waypoint_service *called, __u32 called_length)
{
	if (caller_length &&
	    (!km_put_client(msg, at, caller, caller_length) || km_id_now(&caller->id) != held->workload_id) &&
	    !km_put_nothing(msg, at, caller_length))
		return false;
	at += caller_length;
	return !called_length ||
	       (km_put_service(msg, at, called, called_length) && km_id_now(&called->id) == held->service_id) ||
	       km_put_nothing(msg, at, called_length);
}

/*
 * Makes room for the header, as one piece with what is sent: TCP takes piece by piece, so that a header by itself leaves in a packet of
 * its own, for which the waypoint wakes once more, and what is sent would wait for its acknowledgement (Nagle). A large first write is
 * not copied for that.
 */
km_inline bool km_make_room(struct sk_msg_md *msg, __u32 total)
{
	if (bpf_msg_push_data(msg, 0, total, 0))
		return false;
	if (msg->size <= KM_JOINED_MOST && !bpf_msg_pull_data(msg, 0, msg->size, 0))
		return true;
	return !bpf_msg_pull_data(msg, 0, total, 0);
}

/* The message begins with the header, in one piece. */
km_aside void km_note_header(struct sk_msg_md *msg, struct km_sock *held, __u32 length)
{
	const struct sk_msg *kernel = bpf_cast_to_kern_ctx(msg);
	const __u32 start = kernel->sg.start;
	/* Read so: a pointer to plain bytes, loaded, is more than a number to newer verifiers. */
	const __u64 data = (__u64)BPF_CORE_READ(kernel, data);
	const char *place = (const char *)kernel + bpf_core_field_offset(struct sk_msg, sg) +
			    bpf_core_field_offset(struct sk_msg_sg, data) +
			    start * bpf_core_type_size(struct scatterlist);
	const struct scatterlist *piece = km_kernel_cast(struct scatterlist, place);
	const struct km_pieces whole = {.at = data, .length = length};
	const __u64 digest = km_digest(&whole, length, held->start);

	held->length = length;
	held->digest = digest;
	held->digest_more = digest >> 32;
	held->pages = data - piece->offset - km_page_at(piece->page_link & ~3ull);
}

/* True: the header stands before what is sent. */
km_inline bool km_write_header(struct sk_msg_md *msg, const struct sock_common *sk, struct km_sock *held)
{
	const struct km_waypoint_service *called = NULL;
	const struct km_waypoint_client *caller = NULL;
	__u32 client_length = 0, service_length = 0, total, i;
	struct km_head head;
	__u8 *to;
	void *end;

	if (held->header & KM_ENDPOINT_PROXY) {
		caller = bpf_map_lookup_elem(&waypoint_client, &held->workload_id);
		called = bpf_map_lookup_elem(&waypoint_service, &held->service_id);
		if (caller && caller->id == held->workload_id)
			client_length = km_length(caller->length, KM_CLIENT_TLVS);
		if (called && called->id == held->service_id)
			service_length = km_length(called->length, KM_SERVICE_TLVS);
		km_proxy_head(&head, sk, held, client_length + service_length);
	} else {
		km_kmesh_head(&head, held);
	}
	total = head.length + client_length + service_length;
	if (!km_make_room(msg, total))
		return false;
	to = (__u8 *)(long)msg->data;
	end = (void *)(long)msg->data_end;
	for (i = 0; i < KM_HEAD_WORDS; i++) {
		if (4 * i >= head.length)
			break;
		if ((void *)(to + 4) > end)
			return false;
		*(__u32 *)to = head.w[i];
		to += 4;
	}
	if (!km_put_parts(msg, head.length, held, caller, client_length, called, service_length))
		return false;
	km_note_header(msg, held, total);
	return true;
}

/* Runs under the socket's lock before what an application sends through a socket of waypoint_sock is taken. */
SEC("sk_msg")
int waypoint_msg(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct km_sock *held;
	__u32 taken;

	if (!sk)
		return SK_DROP;
	held = bpf_sk_storage_get(&sock, sk, NULL, 0);
	if (!held)
		return SK_DROP;
	taken = km_kernel_cast(struct tcp_sock, sk)->write_seq - held->start;
	if (held->flags & KM_SOCK_HEADER && taken >= held->length) {
		/* Not to be run again, should the waypoint be slow to acknowledge. */
		bpf_msg_apply_bytes(msg, 0xffffffff);
		return SK_PASS;
	}
	/* Part of it without the rest, or bytes without it; or another thread still waits to send it. */
	if (held->flags & KM_SOCK_HEADER || taken || !km_write_header(msg, km_kernel_cast(struct sock_common, sk), held))
		return SK_DROP;
	held->flags |= KM_SOCK_HEADER;
	km_count(KM_REASON_WAYPOINT_HEADER);
	return SK_PASS;
}
