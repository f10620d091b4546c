/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The balance decision without a socket, under BPF_PROG_RUN: tests fill the maps, put a question into decide, and read the answer. */
#include "lib/balance.bpf.h"
#include "lib/lookup.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct km_decide {
	/* asked */
	struct km_frontend_key dialled;
	__u32 workload_id;
	__u64 cgroup_id;
	__u32 runs; /* how often to decide; tally counts what came out */
	/* answered, for the last run */
	__u32 reason; /* BALANCED: the rest holds */
	union km_addr addr;
	__be16 port;
	__u16 pad;
	__u32 backend_id;
	__u32 chosen_workload_id;
	__u32 pad2;
};

_Static_assert(sizeof(struct km_decide) == 72, "size of km_decide");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct km_decide);
} decide SEC(".maps");

/* By workload id; entry 0 for every other outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} tally SEC(".maps");

static int decide_once(__u32 run, void *context)
{
	const __u32 zero = 0;
	struct km_decide *ask = bpf_map_lookup_elem(&decide, &zero);
	const struct km_endpoint *chosen;
	struct km_frontend_key dialled;
	struct km_identity who;
	struct km_range range;
	__u64 *count;

	(void)run;
	(void)context;
	if (!ask)
		return 1;
	dialled = ask->dialled;
	who.cgroup_id = ask->cgroup_id;
	who.workload_id = ask->workload_id;
	ask->chosen_workload_id = 0;
	ask->reason = km_find_range(&dialled, who.workload_id, &range);
	if (ask->reason == KM_FOUND) {
		chosen = km_balance(&range, &who, km_addr_is4(&dialled.addr));
		ask->reason = chosen ? KM_REASON_BALANCED : KM_REASON_TORN_BACKEND;
		if (chosen) {
			ask->addr = chosen->addr;
			ask->port = chosen->port;
			ask->backend_id = range.backend_id;
			ask->chosen_workload_id = chosen->workload_id;
		}
	}
	count = bpf_map_lookup_elem(&tally, &ask->chosen_workload_id);
	if (count)
		(*count)++;
	return 0;
}

SEC("raw_tp")
int decide_runs(void *ctx)
{
	const __u32 zero = 0;
	const struct km_decide *ask = bpf_map_lookup_elem(&decide, &zero);

	(void)ctx;
	if (!ask)
		return 1;
	return bpf_loop(ask->runs, decide_once, NULL, 0);
}
