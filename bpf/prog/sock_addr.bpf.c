// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Sockets of enrolled cgroups: identity at socket(), service addresses at connect, sendmsg, recvmsg and getpeername. */
#include "lib/connect.bpf.h"
#include "lib/datagram.bpf.h"

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
	struct km_sock fresh = {.flags = KM_SOCK_ENROLLED};
	struct km_identity who;

	if (!km_identify(ctx, &who))
		return KM_ALLOW;
	if (ctx->protocol == KM_IPPROTO_UDP)
		fresh.flags |= KM_SOCK_UDP;
	else if (ctx->protocol != KM_IPPROTO_TCP && ctx->protocol != KM_IPPROTO_MPTCP)
		return KM_ALLOW;
	km_set_identity(&fresh, &who);
	/* Without: the first connect tries again. */
	if (!bpf_sk_storage_get(&sock, ctx, &fresh, BPF_SK_STORAGE_GET_F_CREATE))
		km_count(KM_REASON_STORAGE_FULL);
	return KM_ALLOW;
}

/* NULL: nothing to do, *why says it. */
km_inline struct bpf_sock *km_ours(struct bpf_sock_addr *ctx, struct km_identity *who, __u32 *why)
{
	struct bpf_sock *sk = ctx->sk;

	*why = KM_REASON_NOT_ENROLLED;
	if (!sk || !km_identify(sk, who))
		return NULL;
	*why = KM_REASON_NOT_BALANCED_PROTOCOL;
	if (ctx->protocol != KM_IPPROTO_TCP && ctx->protocol != KM_IPPROTO_UDP)
		return NULL;
	return sk;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	const struct km_endpoint *to;
	struct km_identity who;
	struct bpf_sock *sk;
	__u32 why;

	sk = km_ours(ctx, &who, &why);
	if (sk) {
		const struct km_frontend_key dialled = km_dialled4(ctx);

		why = km_connect(sk, &who, &dialled, KM_REACH_4, &to);
		if (why == KM_REASON_BALANCED)
			km_write4(ctx, &to->addr, to->port);
	}
	return km_verdict(why);
}

/* Of AF_INET6 sockets only; a v4-mapped destination is connected over IPv4, unless the socket is IPV6_V6ONLY. */
SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	const struct km_endpoint *to;
	struct km_identity who;
	struct bpf_sock *sk;
	__u32 why;

	sk = km_ours(ctx, &who, &why);
	if (sk) {
		const struct km_frontend_key dialled = km_dialled6(ctx);
		const struct sock_common *common = &km_kernel_cast(struct sock, sk)->__sk_common;
		const __u32 reach = BPF_CORE_READ_BITFIELD(common, skc_ipv6only) ? KM_REACH_6 : KM_REACH_4 | KM_REACH_6;

		why = km_connect(sk, &who, &dialled, reach, &to);
		if (why == KM_REASON_BALANCED)
			km_write6(ctx, &to->addr, to->port);
	}
	return km_verdict(why);
}

km_inline __u32 km_send(struct bpf_sock_addr *ctx, const struct km_frontend_key *dialled, struct bpf_sock *sk,
			const struct km_identity *who, __u32 reach, const struct km_endpoint **to)
{
	struct km_sock *held = bpf_sk_storage_get(&sock, sk, NULL, 0);
	struct km_range range;
	__u32 why;

	why = km_find_range(dialled, who->workload_id, &range);
	if (why != KM_FOUND) {
		if (held && held->flags & KM_SOCK_FLOWS)
			km_flow_direct(bpf_get_socket_cookie(ctx), &dialled->addr, dialled->port);
		return why;
	}
	if (!held) {
		struct km_sock fresh = {.flags = KM_SOCK_ENROLLED | KM_SOCK_UDP};

		km_set_identity(&fresh, who);
		held = bpf_sk_storage_get(&sock, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
		if (!held)
			return KM_REASON_STORAGE_FULL;
		km_count(KM_REASON_LATE_ENROLLED);
	}
	return km_flow(held, bpf_get_socket_cookie(ctx), who, dialled, &range, reach, to);
}

/* Also for v4-mapped destinations of AF_INET6 sockets. Connected sockets come here only when they name a destination. */
SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	const struct km_endpoint *to;
	struct km_identity who;
	struct bpf_sock *sk;
	__u32 why;

	sk = km_ours(ctx, &who, &why);
	if (sk) {
		const struct km_frontend_key dialled = km_dialled4(ctx);

		why = km_send(ctx, &dialled, sk, &who, KM_REACH_4, &to);
		if (why == KM_REASON_BALANCED)
			km_write4(ctx, &to->addr, to->port);
	}
	return km_verdict(why);
}

/* The kernel answers ENOTSUPP when this turns IPv6 into v4-mapped: such a service is refused by name instead. */
SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	const struct km_endpoint *to;
	struct km_identity who;
	struct bpf_sock *sk;
	__u32 why;

	sk = km_ours(ctx, &who, &why);
	if (sk) {
		const struct km_frontend_key dialled = km_dialled6(ctx);

		why = km_send(ctx, &dialled, sk, &who, KM_REACH_6, &to);
		if (why == KM_REASON_BALANCED)
			km_write6(ctx, &to->addr, to->port);
	}
	return km_verdict(why);
}

/* recvmsg and getpeername decide nothing and count nothing: they show what was decided. They may not refuse. */
km_inline bool km_source(struct bpf_sock_addr *ctx, struct km_frontend_key *from)
{
	struct bpf_sock *sk = ctx->sk;
	struct km_sock *held = sk ? bpf_sk_storage_get(&sock, sk, NULL, 0) : NULL;

	if (!held || !(held->flags & (KM_SOCK_TRANSLATED | KM_SOCK_FLOWS)))
		return false;
	return km_reply_source(held, sk->state == BPF_TCP_ESTABLISHED, bpf_get_socket_cookie(ctx), &from->addr, &from->port);
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
