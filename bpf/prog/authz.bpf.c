// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Verdicts on what reaches a pod that is judged: runs in its network namespace when the kernel looks for a listener, or for a UDP socket
 * that is not connected.
 */
#include "lib/authz.bpf.h"
#include "lib/denial.bpf.h"
#include "lib/sent.bpf.h"

char LICENSE[] SEC("license") = "GPL";

km_inline void km_ask_of(const struct bpf_sk_lookup *ctx, struct km_denial *asked)
{
	if (ctx->family == KM_AF_INET) {
		km_addr_set4(&asked->source, ctx->remote_ip4);
		km_addr_set4(&asked->destination, ctx->local_ip4);
		/* Or the compiler joins both ways' loads at an offset that it works out before, which no context may be read at. */
		asm volatile("" ::: "memory");
	} else {
		asked->source.w[0] = ctx->remote_ip6[0];
		asked->source.w[1] = ctx->remote_ip6[1];
		asked->source.w[2] = ctx->remote_ip6[2];
		asked->source.w[3] = ctx->remote_ip6[3];
		asked->destination.w[0] = ctx->local_ip6[0];
		asked->destination.w[1] = ctx->local_ip6[1];
		asked->destination.w[2] = ctx->local_ip6[2];
		asked->destination.w[3] = ctx->local_ip6[3];
	}
	asked->source_port = ctx->remote_port;
	asked->destination_port = bpf_htons(ctx->local_port);
	asked->protocol = ctx->protocol;
}

/* From one address of the pod to another. Nobody else gets in with one: see no_group, and IPv4 of the kernel. */
km_inline bool km_is_own_pod(const struct km_denial *asked)
{
	const struct km_pod *pod = bpf_map_lookup_elem(&pod_address, &asked->destination);

	return pod && km_is_in(&asked->source, pod->netns);
}

/* SK_DROP makes the kernel answer with RST, or port unreachable. */
SEC("sk_lookup")
int authz(struct bpf_sk_lookup *ctx)
{
	struct km_denial asked;

	/* What the pod sends to itself over loopback addresses: to others of its own it comes as if from where they are. */
	if (ctx->ingress_ifindex == KM_LOOPBACK)
		return SK_PASS;
	km_ask_of(ctx, &asked);
	if (km_unlikely(km_addr_equal(&asked.source, &asked.destination)))
		return SK_PASS;
	if (asked.protocol == KM_IPPROTO_UDP && km_is_reply(&asked)) {
		km_count(KM_REASON_AUTHZ_REPLY);
		return SK_PASS;
	}
	asked.time_ns = 0;
	asked.lost = 0;
	km_judge(&asked);
	if (km_unlikely(km_is_denied(&asked))) {
		if (km_is_own_pod(&asked))
			return SK_PASS;
		km_count_verdict(&asked);
		km_tell(&asked);
		return SK_DROP;
	}
	km_count_verdict(&asked);
	if (asked.protocol == KM_IPPROTO_UDP)
		km_remember_heard(&asked);
	if (km_unlikely(asked.flags))
		km_tell(&asked);
	return SK_PASS;
}
