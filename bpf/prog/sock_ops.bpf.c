// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Life of TCP connections: open connections of each workload, and identity of accepted sockets. Never wakes userspace. */
#include "lib/carry.bpf.h"
#include "lib/enrolment.bpf.h"
#include "lib/failed.bpf.h"
#include "lib/judged.bpf.h"
#include "lib/reason.bpf.h"
#include "lib/storage.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* A connection to a service sends its SYN: from here on its state changes are of interest, and only its own. */
km_inline void km_opening(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	struct km_sock *held;

	if (!km_may_hold(sk))
		return;
	held = bpf_sk_storage_get(&sock, sk, NULL, 0);
	if (!held || !(held->flags & KM_SOCK_TRANSLATED))
		return;
	/* By OR: other programs' flags stay. Counted only when the close will be seen. */
	if (!bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG) &&
	    !(held->flags & KM_SOCK_COUNTED))
		km_count_open(held);
}

km_aside void km_failed(const struct km_sock *held)
{
	km_note_failure(held->backend_id, held->peer_workload_id);
	km_count(KM_REASON_TCP_FAILED);
}

km_inline void km_state_changed(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	const __u32 before = ctx->args[0], now = ctx->args[1];
	struct km_sock *held;

	if (now != BPF_TCP_CLOSE && now != BPF_TCP_ESTABLISHED)
		return;
	held = bpf_sk_storage_get(&sock, sk, NULL, 0);
	/* Or it would stay there for as long as the application keeps the descriptor. */
	if (held && now == BPF_TCP_CLOSE && km_unlikely(held->flags & KM_SOCK_ARMED))
		km_disarm(ctx, held);
	/* Not ours: another program asked for state changes too. */
	if (!held || !(held->flags & KM_SOCK_COUNTED))
		return;
	if (now == BPF_TCP_ESTABLISHED) {
		km_count(KM_REASON_TCP_OPENED);
		return;
	}
	km_uncount(held);
	if (before != BPF_TCP_SYN_SENT && before != BPF_TCP_SYN_RECV) {
		km_count(KM_REASON_TCP_CLOSED);
		return;
	}
	km_failed(held);
}

/*
 * An accepted socket inherits its listener's storage. What the listener dialled in an earlier life is not its own. Children of
 * listeners older than the enrolment, and of MPTCP listeners, have none.
 */
km_aside void km_accepted(struct bpf_sock *sk)
{
	struct km_sock *held = km_may_hold(sk) ? bpf_sk_storage_get(&sock, sk, NULL, 0) : NULL;
	struct km_sock fresh = {.flags = KM_SOCK_ACCEPTED};
	struct km_search search;
	struct km_identity who;

	if (held) {
		held->flags = (held->flags & ~KM_SOCK_CONNECTION) | KM_SOCK_ACCEPTED;
		return;
	}
	if (!km_identify(sk, &search, &who))
		return;
	if (bpf_skc_to_mptcp_sock(sk))
		fresh.flags |= KM_SOCK_SUBFLOW;
	else
		km_count(KM_REASON_LATE_ENROLLED);
	km_set_identity(&fresh, &search, &who);
	if (!bpf_sk_storage_get(&sock, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE))
		km_count(KM_REASON_STORAGE_FULL);
}

/* False where nobody was ever judged. Else authorization may have changed since the SYN was, however long ago: a listener may wait hours. */
km_inline bool km_may_have_changed(void)
{
	const __u32 zero = 0;
	const struct km_authz_state *state = bpf_map_lookup_elem(&authz_state, &zero);

	return state && state->changed_ns;
}

/*
 * What was allowed at its SYN and is denied now. A socket cannot be destroyed here: bound to lo no byte leaves or reaches it, and the
 * agent, which finds the record, destroys it.
 */
km_aside void km_judge_handshake(struct bpf_sock_ops *ctx, struct bpf_sock *sk)
{
	const struct sock_common *common = km_kernel_cast(struct sock_common, sk);
	struct km_denial asked;
	char lo[] = "lo";

	/* Judged is what reaches a network namespace, whichever cgroup of it listens. */
	km_local_of(common, &asked.destination);
	if (!km_is_in(&asked.destination, km_netns_of(common)) || !km_judge_open(common, &asked))
		return;
	bpf_setsockopt(ctx, KM_SOL_SOCKET, KM_SO_BINDTODEVICE, lo, sizeof(lo));
	km_count_verdict(&asked);
	km_count(KM_REASON_AUTHZ_HANDSHAKE);
	asked.flags |= KM_DENIAL_HANDSHAKE;
	km_tell(&asked);
}

/* Runs about ten times for a connection of anyone: what is of no interest leaves at once. The reply is left to others. */
/* Not named sockops: the assembler of clang 14 takes a symbol named as its section for a redefinition. */
SEC("sockops")
int sock_ops(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk;

	if (ctx->op != BPF_SOCK_OPS_TCP_CONNECT_CB && ctx->op != BPF_SOCK_OPS_STATE_CB &&
	    ctx->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB && ctx->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
	    ctx->op != BPF_SOCK_OPS_RTT_CB && ctx->op != BPF_SOCK_OPS_HDR_OPT_LEN_CB &&
	    ctx->op != BPF_SOCK_OPS_PARSE_HDR_OPT_CB)
		return 1;
	sk = ctx->sk;
	if (!sk)
		return 1;
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
		km_opening(ctx, sk);
	} else if (ctx->op == BPF_SOCK_OPS_STATE_CB) {
		km_state_changed(ctx, sk);
	} else if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) {
		struct km_sock *held = km_carrier(sk);

		if (km_unlikely(held))
			km_arm(ctx, sk, held);
	} else if (ctx->op == BPF_SOCK_OPS_RTT_CB) {
		km_carried(ctx, sk);
	} else if (ctx->op == BPF_SOCK_OPS_HDR_OPT_LEN_CB) {
		km_watch(ctx, sk);
	} else if (ctx->op == BPF_SOCK_OPS_PARSE_HDR_OPT_CB) {
		km_listen(ctx, sk);
	} else if (km_kernel_cast(struct sock, sk)->sk_socket) {
		/* Crossed SYNs: it dialled. What was accepted has no descriptor yet. */
		struct km_sock *held = km_carrier(sk);

		if (held)
			km_arm(ctx, sk, held);
	} else {
		km_accepted(sk);
		if (km_may_have_changed())
			km_judge_handshake(ctx, sk);
	}
	return 1;
}
