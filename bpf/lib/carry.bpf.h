/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Between the handshake and the header: nothing of such a connection may leave before that. */
#ifndef KMESH_LIB_CARRY_H
#define KMESH_LIB_CARRY_H

#include "kmesh/kernel.h"
#include "lib/proof.bpf.h"
#include "lib/reason.bpf.h"
#include "lib/storage.bpf.h"
#include "maps/waypoint.bpf.h"

#define KM_LISTEN_CALLBACK BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG
#define KM_CARRY_CALLBACKS (BPF_SOCK_OPS_RTT_CB_FLAG | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG | KM_LISTEN_CALLBACK)
#define KM_NO_DEVICE 0x7fffffff

km_inline void km_set_option(struct bpf_sock_ops *ctx, int level, int name, int value)
{
	bpf_setsockopt(ctx, level, name, &value, sizeof(value));
}

/*
 * A socket cannot be destroyed here. Bound to a device that is not there no packet leaves or reaches it, from the one on that is being
 * made; what it has to send, or a probe, then fails within seconds, and with that the socket.
 */
km_aside void km_end(struct bpf_sock_ops *ctx, struct km_sock *held)
{
	km_set_option(ctx, KM_SOL_SOCKET, KM_SO_BINDTOIFINDEX, KM_NO_DEVICE);
	km_set_option(ctx, KM_IPPROTO_TCP, KM_TCP_USER_TIMEOUT, 1);
	km_set_option(ctx, KM_IPPROTO_TCP, KM_TCP_KEEPIDLE, 1);
	km_set_option(ctx, KM_IPPROTO_TCP, KM_TCP_KEEPINTVL, 1);
	km_set_option(ctx, KM_IPPROTO_TCP, KM_TCP_KEEPCNT, 1);
	km_set_option(ctx, KM_SOL_SOCKET, KM_SO_KEEPALIVE, 1);
	held->flags |= KM_SOCK_ENDED;
	km_count(KM_REASON_WAYPOINT_ENDED);
}

/* The handshake with a waypoint is over. By OR: other programs' callbacks stay. */
km_aside void km_arm(struct bpf_sock_ops *ctx, struct bpf_sock *sk, struct km_sock *held)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);

	held->start = km_kernel_cast(struct tcp_sock, sk)->write_seq;
	held->length = 0;
	/* A thread that began to send before goes on past the program for what is sent. What is ended is watched, too. */
	if (bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | KM_CARRY_CALLBACKS) ||
	    km_kernel_cast(struct sock, sk)->sk_write_pending ||
	    bpf_sock_hash_update(ctx, &waypoint_sock, &cookie, BPF_ANY)) {
		km_end(ctx, held);
		return;
	}
	held->flags |= KM_SOCK_ARMED;
}

km_inline struct km_sock *km_carrier(struct bpf_sock *sk)
{
	struct km_sock *held = km_may_hold(sk) ? bpf_sk_storage_get(&sock, sk, NULL, 0) : NULL;

	return held && held->flags & KM_SOCK_VIA && held->header ? held : NULL;
}

km_aside void km_disarm(struct bpf_sock_ops *ctx, struct km_sock *held)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);

	held->flags &= ~KM_SOCK_ARMED;
	bpf_map_delete_elem(&waypoint_sock, &cookie);
}

/* The header has arrived: from here on it is a socket like any other. */
km_aside void km_carried(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct km_sock *held = km_carrier(sk);

	if (!held || !(held->flags & KM_SOCK_PROVEN) ||
	    (__s32)(km_kernel_cast(struct tcp_sock, sk)->write_seq - held->start) < (__s32)held->length)
		return;
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~KM_CARRY_CALLBACKS);
	if (held->flags & KM_SOCK_ARMED)
		km_disarm(ctx, held);
}

struct km_fragment {
	__u64 page;
	__u32 length;
	__u32 offset;
};

/*
 * A packet is being made: true when it carries the header, or the part of it that is to come at its place in the stream, and then whatever
 * else. That the header was made does not prove it. The kernel takes the verdict on a message for the next one, too, without asking, when
 * the push of the first fails (MSG_FASTOPEN, no memory); and a send() that began before the handshake ended asks nobody. Its pages are the
 * kernel's alone, or they could be changed after this look. In memory the whole header is in front of a part of it: either is in the page
 * where it was made, or was copied, on routes whose devices take one piece only, in one piece or, at the end of a page, in two.
 */
km_aside bool km_is_header(struct bpf_sock_ops *ctx, const struct km_sock *held)
{
	const struct bpf_sock_ops_kern *kernel = bpf_cast_to_kern_ctx(ctx);
	const struct sk_buff *skb = kernel->skb;
	const __u32 before = km_kernel_cast(struct tcp_skb_cb, skb->cb)->seq - held->start;
	const __u64 end = (__u64)BPF_CORE_READ(skb, head) + skb->end;
	const struct skb_shared_info *info = km_kernel_cast(struct skb_shared_info, (const void *)end);
	struct km_fragment fragments[2];
	struct km_pieces pieces = {};

	/* None before it: TCP_REPAIR can pass over packets. */
	if (before > (held->flags & KM_SOCK_PART) >> KM_SOCK_PART_SHIFT || before >= held->length)
		return false;
	if (!skb->len || skb->len != skb->data_len || info->flags ||
	    bpf_probe_read_kernel(fragments, sizeof(fragments),
				  (const void *)(end + bpf_core_field_offset(struct skb_shared_info, frags))))
		return false;
	pieces.at = held->pages + km_page_at(fragments[0].page) + fragments[0].offset - before;
	pieces.length = held->length;
	if (fragments[0].length < held->length - before && fragments[0].length != skb->len) {
		if (before || info->nr_frags < 2 || fragments[0].length + fragments[1].length < held->length)
			return false;
		pieces.length = fragments[0].length;
		pieces.next = held->pages + km_page_at(fragments[1].page) + fragments[1].offset;
	}
	return km_is_digest(held, km_digest(&pieces, held->length, held->start));
}

/* How much of it has left with this packet. */
km_inline void km_note_proof(struct bpf_sock_ops *ctx, struct km_sock *held)
{
	const struct bpf_sock_ops_kern *kernel = bpf_cast_to_kern_ctx(ctx);
	const struct tcp_skb_cb *at = km_kernel_cast(struct tcp_skb_cb, kernel->skb->cb);
	const __u32 part = at->seq - held->start + ctx->skb_len;

	if (part < held->length) {
		if (part > (held->flags & KM_SOCK_PART) >> KM_SOCK_PART_SHIFT)
			held->flags = (held->flags & ~KM_SOCK_PART) | part << KM_SOCK_PART_SHIFT;
		return;
	}
	held->flags |= KM_SOCK_PROVEN;
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags & ~KM_LISTEN_CALLBACK);
}

/* MSG_OOB with many first bytes: the kernel marks the last one of the header as urgent, too, and the waypoint may read on past it. */
km_inline bool km_is_urgent(const struct bpf_sock *sk, const struct km_sock *held)
{
	const struct tcp_sock *tcp = km_kernel_cast(struct tcp_sock, sk);

	return tcp->snd_up != tcp->snd_una && tcp->snd_up - held->start <= held->length;
}

/*
 * A packet is being made. Before the header it may carry nothing: a send() can have passed the program for what is sent, when the
 * handshake ended under its hands, and a half-close would tell the waypoint that nothing comes. With MSG_ZEROCOPY the header would
 * count as a part of its own: the application would take completions for those of later sends, and use their buffers again too early.
 */
km_aside void km_watch(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	const struct sock *full = km_kernel_cast(struct sock, sk);
	struct km_sock *held;

	if (ctx->args[0] == BPF_WRITE_HDR_TCP_CURRENT_MSS || !(ctx->skb_len || ctx->skb_tcp_flags & KM_TCPHDR_FIN))
		return;
	held = km_carrier(sk);
	if (!held)
		return;
	/* An application with CAP_NET_RAW, as containers have it, may have bound it elsewhere. */
	if (held->flags & KM_SOCK_ENDED) {
		km_set_option(ctx, KM_SOL_SOCKET, KM_SO_BINDTOIFINDEX, KM_NO_DEVICE);
		return;
	}
	if (held->flags & KM_SOCK_PROVEN && !full->sk_zckey.counter)
		return;
	if (held->flags & KM_SOCK_HEADER && !full->sk_zckey.counter && !km_is_urgent(sk, held) &&
	    km_is_header(ctx, held)) {
		km_note_proof(ctx, held);
		return;
	}
	/* Closed altogether: nobody waits for an answer. */
	if (!ctx->skb_len && full->sk_shutdown == KM_SHUTDOWN_BOTH)
		return;
	km_end(ctx, held);
}

/*
 * A packet has come. One that leaves a hole, or comes again, is told of in the next that is made, and where that fills the room for options
 * nobody is asked about it. Waypoints wait for the header: what speaks before, and so, is none.
 */
km_aside void km_listen(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	const struct bpf_sock_ops_kern *kernel = bpf_cast_to_kern_ctx(ctx);
	const struct tcp_skb_cb *at = km_kernel_cast(struct tcp_skb_cb, kernel->skb->cb);
	struct km_sock *held = km_carrier(sk);

	if (held && !(held->flags & (KM_SOCK_PROVEN | KM_SOCK_ENDED)) && at->seq != at->end_seq &&
	    at->seq != km_kernel_cast(struct tcp_sock, sk)->rcv_nxt)
		km_end(ctx, held);
}

#endif
