// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Every map and a few small programs, for tests of loading and swapping. REASON: what programs count; VERDICT: of authz. */
#include "maps/authz.bpf.h"
#include "maps/authz.bpf.h"
#include "maps/enrol.bpf.h"
#include "maps/miss.bpf.h"
#include "maps/name.bpf.h"
#include "maps/pod.bpf.h"
#include "maps/pod.bpf.h"
#include "maps/service.bpf.h"
#include "maps/state.bpf.h"
#include "maps/waypoint.bpf.h"
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "GPL";

#ifndef REASON
#define REASON KM_REASON_BALANCED
#endif
#ifndef VERDICT
#define VERDICT SK_DROP
#endif

static __always_inline int count(void)
{
	__u32 why = REASON;
	__u32 first = 1;
	__u64 *counter = bpf_map_lookup_elem(&reason, &why);
	struct km_active *open = bpf_map_lookup_elem(&active, &first);

	if (counter)
		++*counter;
	if (open)
		__sync_fetch_and_add(&open->connections, 1);
	return 1;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return count();
}

#ifdef WITH_CONNECT6
SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return count();
}
#endif

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("sk_lookup")
int authz(struct bpf_sk_lookup *ctx)
{
	struct km_denial record = {
		.protocol = ctx->protocol,
		.destination_port = bpf_htons(ctx->local_port),
	};

	count();
	bpf_ringbuf_output(&denials, &record, sizeof(record), BPF_RB_NO_WAKEUP);
	return VERDICT;
}

SEC("tc")
int spoof(struct __sk_buff *packet)
{
	return -1; /* TCX_NEXT */
}

SEC("tc")
int no_group(struct __sk_buff *packet)
{
	return -1;
}

#ifdef REFUSED
SEC("cgroup/getsockopt")
int refused(void *ctx)
{
	__u64 id = 1;
	struct km_enrolled *found = bpf_map_lookup_elem(&enrolled, &id);

	if (found->flags == 1) /* may be NULL */
		return 0;
	return 1;
}
#endif
