// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Verdicts on what reaches a pod that is judged. */
#include "maps/authz.bpf.h"
#include "maps/pod.bpf.h"

char LICENSE[] SEC("license") = "GPL";
