// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Sockets of enrolled cgroups: identity at socket(), service addresses at connect, sendmsg, recvmsg and getpeername. */
#include "lib/connect.bpf.h"
#include "lib/datagram.bpf.h"
#include "lib/sent.bpf.h"

char LICENSE[] SEC("license") = "GPL";

km_inline struct km_frontend_key km_dialled4(const struct bpf_sock_addr *ctx)
{
	struct km_frontend_key key = {.port = ctx->user_port, .protocol = ctx->protocol};

	km_addr_set4(&key.addr, ctx->user_ip4);
	return key;
}

km_inline struct km_frontend_key km_dialled6(const struct bpf_sock_addr *ctx)
{
	struct km_frontend_key key = {.port = ctx->user_port, .protocol = ctx->protocol};

	key.addr.w[0] = ctx->user_ip6[0];
	key.addr.w[1] = ctx->user_ip6[1];
	key.addr.w[2] = ctx->user_ip6[2];
	key.addr.w[3] = ctx->user_ip6[3];
	return key;
}

km_inline void km_write4(struct bpf_sock_addr *ctx, const union km_addr *addr, __be16 port)
{
	ctx->user_ip4 = addr->w[3];
	ctx->user_port = port;
}

km_inline void km_write6(struct bpf_sock_addr *ctx, const union km_addr *addr, __be16 port)
{
	ctx->user_ip6[0] = addr->w[0];
	ctx->user_ip6[1] = addr->w[1];
	ctx->user_ip6[2] = addr->w[2];
	ctx->user_ip6[3] = addr->w[3];
	ctx->user_port = port;
}

/* Runs for each AF_INET and AF_INET6 socket() of a process; ctx is the socket itself. MPTCP's subflows do not come here. */
SEC("cgroup/sock_create")
int sock_create(struct bpf_sock *ctx)
{
	struct km_sock fresh = {};
	struct km_search search;
	struct km_identity who;

	if (!km_identify(ctx, &search, &who))
		return KM_ALLOW;
	if (ctx->protocol == KM_IPPROTO_UDP)
		fresh.flags |= KM_SOCK_UDP;
	else if (ctx->protocol != KM_IPPROTO_TCP && ctx->protocol != KM_IPPROTO_MPTCP)
		return KM_ALLOW;
	km_set_identity(&fresh, &search, &who);
	/* Without: the first connect tries again. */
	if (!bpf_sk_storage_get(&sock, ctx, &fresh, BPF_SK_STORAGE_GET_F_CREATE))
		km_count(KM_REASON_STORAGE_FULL);
	return KM_ALLOW;
}

struct km_caller {
	struct bpf_sock *sk;
	struct km_sock *own; /* its storage; NULL: none yet */
	struct km_search search;
	struct km_identity who;
};

/* KM_FOUND when the call is of interest, else why not. */
km_inline __u32 km_caller_of(const struct bpf_sock_addr *ctx, struct km_caller *caller)
{
	caller->sk = ctx->sk;
	if (!caller->sk || !km_identify_held(caller->sk, &caller->search, &caller->who, &caller->own))
		return KM_REASON_NOT_ENROLLED;
	if (ctx->protocol != KM_IPPROTO_TCP && ctx->protocol != KM_IPPROTO_UDP)
		return KM_REASON_NOT_BALANCED_PROTOCOL;
	return KM_FOUND;
}

/* A socket that connected while it was enrolled, and connects again now that it is not. */
km_aside void km_forget_all(struct bpf_sock *sk)
{
	struct km_sock *held = bpf_sk_storage_get(&sock, sk, NULL, 0);

	if (held)
		km_forget(held);
}

km_inline void km_leave(const struct km_caller *caller)
{
	if (caller->sk && km_unlikely(km_may_hold(caller->sk)))
		km_forget_all(caller->sk);
}

km_inline __u32 km_dial(const struct km_caller *caller, const struct km_frontend_key *dialled, __u32 reach,
			const struct km_endpoint **to)
{
	struct km_held held;
	__u32 why;

	why = km_hold(caller->sk, &caller->search, &caller->who, dialled->protocol, caller->own, &held);
	if (why != KM_FOUND)
		return why;
	return km_connect(caller->sk, &caller->who, &held, dialled, reach, to);
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	const struct km_endpoint *to = NULL;
	struct km_caller caller;
	__u32 why;

	why = km_caller_of(ctx, &caller);
	if (why == KM_FOUND) {
		const struct km_frontend_key dialled = km_dialled4(ctx);

		why = km_dial(&caller, &dialled, KM_REACH_4, &to);
		if (to)
			km_write4(ctx, &to->addr, km_port_at(to, &dialled));
	} else if (why == KM_REASON_NOT_ENROLLED) {
		km_leave(&caller);
	}
	return km_verdict(why);
}

/* Of AF_INET6 sockets only; a v4-mapped destination is connected over IPv4, unless the socket is IPV6_V6ONLY. */
SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	const struct km_endpoint *to = NULL;
	struct km_caller caller;
	__u32 why;

	why = km_caller_of(ctx, &caller);
	if (why == KM_FOUND) {
		const struct km_frontend_key dialled = km_dialled6(ctx);
		const struct sock_common *common = &km_kernel_cast(struct sock, caller.sk)->__sk_common;
		const __u32 reach = BPF_CORE_READ_BITFIELD(common, skc_ipv6only) ? KM_REACH_6 : KM_REACH_4 | KM_REACH_6;

		why = km_dial(&caller, &dialled, reach, &to);
		if (to)
			km_write6(ctx, &to->addr, km_port_at(to, &dialled));
	} else if (why == KM_REASON_NOT_ENROLLED) {
		km_leave(&caller);
	}
	return km_verdict(why);
}

km_inline __u32 km_send(struct bpf_sock_addr *ctx, struct km_caller *caller, const struct km_frontend_key *dialled,
			__u32 reach, const struct km_endpoint **to)
{
	const bool connected = caller->sk->state == BPF_TCP_ESTABLISHED;
	struct km_range range;
	__u32 why;

	/* With a v4-mapped peer the kernel names, for each datagram, what connect went to. */
	if (connected && caller->own && km_went_to(caller->own, &dialled->addr, dialled->port))
		return KM_REASON_BALANCED;
	why = km_find_range(dialled, caller->who.workload_id, &range);
	if (why != KM_FOUND) {
		if (caller->own && caller->own->flags & KM_SOCK_FLOWS)
			km_flow_direct(bpf_get_socket_cookie(ctx), &dialled->addr, dialled->port);
		return why;
	}
	if (!caller->own) {
		struct km_sock fresh = {.flags = KM_SOCK_UDP};

		km_set_identity(&fresh, &caller->search, &caller->who);
		caller->own = bpf_sk_storage_get(&sock, caller->sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
		if (!caller->own)
			return KM_REASON_STORAGE_FULL;
		km_count(KM_REASON_LATE_ENROLLED);
	}
	if (connected) {
		const struct km_endpoint *peer = km_connected_endpoint(caller->own, dialled, &range);

		if (peer && !km_reaches(&peer->addr, reach))
			return KM_REASON_FAMILY;
		*to = peer;
		if (peer)
			return KM_REASON_BALANCED;
	}
	return km_flow(caller->own, bpf_get_socket_cookie(ctx), &caller->who, dialled, &range, reach, to);
}

/* Of pods that are judged, what a datagram is sent to may answer. A connected socket's answers find it without being judged. */
km_inline void km_sent(const struct km_caller *caller, const struct km_frontend_key *dialled,
		       const struct km_endpoint *to)
{
	if (km_likely(!(caller->who.flags & KM_ENROLLED_AUTHZ)) || caller->sk->state == BPF_TCP_ESTABLISHED)
		return;
	if (to)
		km_remember_sent(caller->sk, &to->addr, to->port);
	else
		km_remember_sent(caller->sk, &dialled->addr, dialled->port);
}

/* Also for v4-mapped destinations of AF_INET6 sockets. Connected sockets come here only when they name a destination. */
SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	const struct km_endpoint *to = NULL;
	struct km_caller caller;
	__u32 why;

	why = km_caller_of(ctx, &caller);
	if (why == KM_FOUND) {
		const struct km_frontend_key dialled = km_dialled4(ctx);

		why = km_send(ctx, &caller, &dialled, KM_REACH_4, &to);
		km_sent(&caller, &dialled, to);
		if (to)
			km_write4(ctx, &to->addr, to->port);
	}
	return km_verdict(why);
}

/* The kernel answers ENOTSUPP when this turns IPv6 into v4-mapped: such a service is refused by name instead. */
SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	const struct km_endpoint *to = NULL;
	struct km_caller caller;
	__u32 why;

	why = km_caller_of(ctx, &caller);
	if (why == KM_FOUND) {
		const struct km_frontend_key dialled = km_dialled6(ctx);

		why = km_send(ctx, &caller, &dialled, KM_REACH_6, &to);
		km_sent(&caller, &dialled, to);
		if (to)
			km_write6(ctx, &to->addr, to->port);
	}
	return km_verdict(why);
}

/* recvmsg and getpeername decide nothing and count nothing: they show what was decided. They may not refuse. */
km_inline bool km_source(struct bpf_sock_addr *ctx, struct km_frontend_key *from)
{
	struct bpf_sock *sk = ctx->sk;
	struct km_sock *held;

	if (!sk || !km_may_hold(sk))
		return false;
	held = bpf_sk_storage_get(&sock, sk, NULL, 0);
	if (!held || !(held->flags & (KM_SOCK_TRANSLATED | KM_SOCK_FLOWS)))
		return false;
	return km_reply_source(held, sk->state == BPF_TCP_ESTABLISHED, bpf_get_socket_cookie(ctx), &from->addr,
			       &from->port);
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	struct km_frontend_key from = km_dialled4(ctx);

	if (km_source(ctx, &from))
		km_write4(ctx, &from.addr, from.port);
	return KM_ALLOW;
}

/* Also for datagrams from v4-mapped sources to AF_INET6 sockets, which left through sendmsg4. */
SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	struct km_frontend_key from = km_dialled6(ctx);

	if (km_source(ctx, &from))
		km_write6(ctx, &from.addr, from.port);
	return KM_ALLOW;
}

km_inline const struct km_sock *km_peer(struct bpf_sock_addr *ctx, const struct km_frontend_key *peer)
{
	struct bpf_sock *sk = ctx->sk;
	const struct km_sock *held = sk ? bpf_sk_storage_get(&sock, sk, NULL, 0) : NULL;

	return held && km_went_to(held, &peer->addr, peer->port) ? held : NULL;
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	const struct km_frontend_key peer = km_dialled4(ctx);
	const struct km_sock *held = km_peer(ctx, &peer);

	if (held)
		km_write4(ctx, &held->orig_addr, held->orig_port);
	return KM_ALLOW;
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	const struct km_frontend_key peer = km_dialled6(ctx);
	const struct km_sock *held = km_peer(ctx, &peer);

	if (held)
		km_write6(ctx, &held->orig_addr, held->orig_port);
	return KM_ALLOW;
}
