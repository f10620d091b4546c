/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What all layouts are made of. */
#ifndef KMESH_ABI_BASE_H
#define KMESH_ABI_BASE_H

#include <linux/types.h>

/* IPv6, or IPv4 as v4-mapped (::ffff:a.b.c.d), network order. */
union km_addr {
	__u8 b[16];
	__u32 w[4];
};

#define KM_SIZE(t, n) _Static_assert(sizeof(struct t) == (n), "size of " #t)

#endif
