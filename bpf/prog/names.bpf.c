// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The id table only: no program reads it, this object exists so that load creates it like any other map. */
#include "maps/name.bpf.h"

char LICENSE[] SEC("license") = "GPL";
