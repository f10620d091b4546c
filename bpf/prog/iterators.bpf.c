// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Walks over sockets, started by reading a link. iter/tcp and iter/udp see the netns of the thread that makes the iterator. */
#include "lib/enrolment.bpf.h"
#include "lib/judged.bpf.h"
#include "lib/member.bpf.h"
#include "lib/range.bpf.h"
#include "lib/reason.bpf.h"
#include "lib/storage.bpf.h"

char LICENSE[] SEC("license") = "GPL";

km_inline struct km_sock_record km_record_of(__u64 cookie, const struct km_sock *held)
{
	struct km_sock_record record = {
		.cookie = cookie,
		.workload_id = held->workload_id,
		.flags = held->flags,
		.backend_id = held->backend_id,
		.peer_workload_id = held->peer_workload_id,
		.service_id = held->flags & KM_SOCK_VIA ? held->service_id : 0,
	};

	return record;
}

/* Nothing but that a peer opened it, as a re-check found: what it asks for goes past the mesh. */
km_inline bool km_is_old(const struct km_sock *held)
{
	return held->flags == KM_SOCK_ACCEPTED;
}

/* True: the backend holds the endpoint no more. Not sure counts as still there: the next sweep comes. */
km_inline bool km_left_its_backend(struct km_sock *held)
{
	struct km_range range = {.backend_id = held->backend_id};
	union km_addr addr;
	int i;

	for (i = 0; i < KM_TRIES; i++) {
		if (km_open_range(&range))
			break;
	}
	if (i == KM_TRIES)
		return !range.first;
	if (range.generation == held->generation)
		return false;
	addr = held->backend_addr;
	if (km_member(&range, held->peer_workload_id, &addr, held->backend_port) < 0)
		return true;
	held->generation = range.generation;
	return false;
}

/* Destroys connected UDP sockets whose endpoint left its backend, and writes a record of each: their next send fails. */
SEC("iter/udp")
int sweep_udp(struct bpf_iter__udp *ctx)
{
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct km_sock_record record;
	union km_addr peer;
	struct km_sock *held;

	if (!sk)
		return 0;
	held = bpf_sk_storage_get(&sock, sk, NULL, 0);
	if (!held || !(held->flags & KM_SOCK_TRANSLATED) || sk->__sk_common.skc_state != BPF_TCP_ESTABLISHED)
		return 0;
	/* Disconnected and connected again in a way that no hook saw: not what the storage tells of. */
	km_peer_of(&sk->__sk_common, &peer);
	if (!km_went_to(held, &peer, sk->__sk_common.skc_dport) || !km_left_its_backend(held))
		return 0;
	record = km_record_of(bpf_get_socket_cookie(sk), held);
	/* When the buffer is full the kernel shows this socket again: so the record comes first. */
	if (bpf_seq_write(ctx->meta->seq, &record, sizeof(record)))
		return 0;
	if (!bpf_sock_destroy((struct sock_common *)sk))
		km_count(KM_REASON_UDP_DESTROYED);
	return 0;
}

/* A record of every socket with storage; of a whole host, whatever the netns. */
SEC("iter/bpf_sk_storage_map")
int list_sockets(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	const struct km_sock *held = ctx->value;
	struct km_sock_record record;
	struct sock *sk = ctx->sk;

	if (!sk || !held || km_is_old(held))
		return 0;
	record = km_record_of(bpf_get_socket_cookie(sk), held);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

km_inline void km_write_old(struct seq_file *seq, const struct sock_common *sk, __u64 cookie, __u64 cgroup_id,
			    __u8 protocol)
{
	struct km_old_record record = {
		.cookie = cookie,
		.cgroup_id = cgroup_id,
		.local_port = bpf_htons(sk->skc_num),
		.remote_port = sk->skc_dport,
		.protocol = protocol,
		.state = sk->skc_state,
	};

	km_local_of(sk, &record.local);
	km_peer_of(sk, &record.remote);
	bpf_seq_write(seq, &record, sizeof(record));
}

/* TCP connections of enrolled cgroups that have no storage: older than the enrolment. MPTCP's subflows are given theirs when they open. */
SEC("iter/tcp")
int list_old_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	const struct km_sock *held;
	struct km_search search;
	struct km_identity who;
	struct tcp_sock *tcp;

	if (!common || common->skc_state == BPF_TCP_LISTEN)
		return 0;
	/* NULL for what is no full socket: a request, or TIME_WAIT. */
	tcp = bpf_skc_to_tcp_sock(common);
	if (!tcp || !km_identify(tcp, &search, &who))
		return 0;
	held = bpf_sk_storage_get(&sock, tcp, NULL, 0);
	if (held && !km_is_old(held))
		return 0;
	km_write_old(ctx->meta->seq, common, bpf_get_socket_cookie(tcp), who.cgroup_id, KM_IPPROTO_TCP);
	return 0;
}

/* Connected UDP sockets likewise. Others are found at their next send. */
SEC("iter/udp")
int list_old_udp(struct bpf_iter__udp *ctx)
{
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct km_search search;
	struct km_identity who;

	if (!sk || sk->__sk_common.skc_state != BPF_TCP_ESTABLISHED)
		return 0;
	if (!km_identify(sk, &search, &who) || bpf_sk_storage_get(&sock, sk, NULL, 0))
		return 0;
	km_write_old(ctx->meta->seq, &sk->__sk_common, bpf_get_socket_cookie(sk), who.cgroup_id, KM_IPPROTO_UDP);
	return 0;
}

km_inline struct km_listening *km_listening_of(__u16 port)
{
	const __u32 index = port / 64;

	return bpf_map_lookup_elem(&listening, &index);
}

/* A walk comes to all that listen before anything else. */
km_inline void km_note_listening(const struct bpf_iter__tcp *ctx, __u16 port)
{
	struct km_listening *known = km_listening_of(port);

	if (!known)
		return;
	if (known->session != ctx->meta->session_id) {
		known->session = ctx->meta->session_id;
		known->ports = 0;
	}
	known->ports |= 1ull << (port & 63);
}

/*
 * The peer opened it. Of a socket that is older than the enrolment this is not written down: then the kernel has it keep what its
 * listener was told of a backlog, unless that was 0; so where something listens at its port it counts as well.
 */
km_inline bool km_looks_inbound(const struct bpf_iter__tcp *ctx, struct tcp_sock *tcp, __u16 port)
{
	const struct km_listening *known;

	if (km_kernel_cast(struct sock, tcp)->sk_max_ack_backlog)
		return true;
	known = km_listening_of(port);
	return known && known->session == ctx->meta->session_id && known->ports >> (port & 63) & 1;
}

km_inline bool km_is_inbound(const struct bpf_iter__tcp *ctx, struct tcp_sock *tcp, __u16 port)
{
	struct km_sock *held = bpf_sk_storage_get(&sock, tcp, NULL, 0);

	if (held && held->flags & KM_SOCK_ACCEPTED)
		return true;
	if (!km_looks_inbound(ctx, tcp, port))
		return false;
	if (held) {
		held->flags |= KM_SOCK_ACCEPTED;
	} else {
		struct km_sock fresh = {.flags = KM_SOCK_ACCEPTED};

		bpf_sk_storage_get(&sock, tcp, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	}
	return true;
}

/* True: what is denied for what policies say. What only waits for an answer stays: it is judged again when that is there. */
km_inline bool km_is_to_end(const struct sock_common *sk, struct km_denial *asked)
{
	return km_judge_open(sk, asked) &&
	       (asked->why == KM_REASON_AUTHZ_DENIED || asked->why == KM_REASON_AUTHZ_NO_MATCH ||
		asked->why == KM_REASON_AUTHZ_CLOSED);
}

/* A handshake under way is no socket that could be destroyed here: a record of it, for userland to do that. */
km_inline void km_recheck_request(const struct bpf_iter__tcp *ctx, const struct sock_common *common)
{
	struct km_denial asked;

	if (!km_is_to_end(common, &asked))
		return;
	asked.time_ns = bpf_ktime_get_ns();
	asked.flags |= KM_DENIAL_REQUEST;
	if (bpf_seq_write(ctx->meta->seq, &asked, sizeof(asked)))
		return;
	km_count_verdict(&asked);
	km_count(KM_REASON_AUTHZ_HANDSHAKE);
}

/*
 * Of one network namespace: destroys connections that peers opened and that are denied now, and writes a record of each, and of
 * handshakes likewise.
 */
SEC("iter/tcp")
int recheck_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct km_denial asked;
	struct tcp_sock *tcp;
	char anywhere[] = "";

	if (!common || common->skc_state == BPF_TCP_SYN_SENT)
		return 0;
	if (common->skc_state == BPF_TCP_NEW_SYN_RECV) {
		km_recheck_request(ctx, common);
		return 0;
	}
	if (common->skc_state == BPF_TCP_LISTEN) {
		km_note_listening(ctx, common->skc_num);
		return 0;
	}
	tcp = bpf_skc_to_tcp_sock(common);
	if (!tcp || !km_is_inbound(ctx, tcp, common->skc_num) || !km_is_to_end(common, &asked))
		return 0;
	asked.time_ns = bpf_ktime_get_ns();
	asked.flags |= KM_DENIAL_OPEN;
	/* When the buffer is full the kernel shows this socket again: so the record comes first. */
	if (bpf_seq_write(ctx->meta->seq, &asked, sizeof(asked)))
		return 0;
	/* At the end of its handshake it was bound to lo: so that its peer is told. */
	if (common->skc_bound_dev_if == KM_LOOPBACK)
		bpf_setsockopt(tcp, KM_SOL_SOCKET, KM_SO_BINDTODEVICE, anywhere, sizeof(anywhere));
	if (!bpf_sock_destroy(common)) {
		km_count_verdict(&asked);
		km_count(KM_REASON_AUTHZ_DESTROYED);
	}
	return 0;
}

/*
 * Of the whole host, by socket storage, a record of every connection that recheck_tcp would end: so that only the namespaces of those
 * are walked. Sockets older than the enrolment are among them once recheck_tcp has found them.
 */
SEC("iter/bpf_sk_storage_map")
int list_denied(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	const struct km_sock *held = ctx->value;
	struct km_denied_record record = {};
	struct sock *sk = ctx->sk;
	struct km_denial asked;
	__u8 state;

	if (!sk || !held || !(held->flags & KM_SOCK_ACCEPTED))
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == BPF_TCP_LISTEN || state == BPF_TCP_SYN_SENT || state == BPF_TCP_CLOSE)
		return 0;
	if (!km_is_to_end(&sk->__sk_common, &asked))
		return 0;
	record.peer = asked.source;
	record.netns = km_netns_of(&sk->__sk_common);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

/* Of one network namespace: destroys connections that owe a waypoint a header, when nothing will put it there any more. */
SEC("iter/tcp")
int end_waiting(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	const struct km_sock *held;
	struct tcp_sock *tcp;

	tcp = common && common->skc_state != BPF_TCP_LISTEN ? bpf_skc_to_tcp_sock(common) : NULL;
	if (!tcp)
		return 0;
	held = bpf_sk_storage_get(&sock, tcp, NULL, 0);
	if (held && held->flags & KM_SOCK_VIA && held->header && !(held->flags & KM_SOCK_HEADER) &&
	    !bpf_sock_destroy(common))
		km_count(KM_REASON_WAYPOINT_ENDED);
	return 0;
}
