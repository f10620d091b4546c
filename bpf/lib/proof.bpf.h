/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Whether the bytes that leave are those of the header that was made. */
#ifndef KMESH_LIB_PROOF_H
#define KMESH_LIB_PROOF_H

#include "kmesh/kernel.h"
#include "lib/storage.bpf.h"

#define KM_HEADER_MOST (52 + KM_CLIENT_TLVS + KM_SERVICE_TLVS)
#define KM_PAGE_SIZE 4096 /* where it is another, pages other than the header's own are misread, and so refused */

/*
 * Of the header that begins at `at`. What applications cannot see, the first sequence number, is a secret: the two products by it keep
 * them from finding other bytes with the same digest.
 */
km_apart __u32 km_digest(__u64 at, __u32 length, __u32 secret)
{
	const __u64 key = (secret * 0x9e3779b97f4a7c15ull) | 1;
	__u64 digest = key, words[8];
	__u32 i, j;

	for (i = 0; i < KM_HEADER_MOST; i += sizeof(words)) {
		__u32 n;

		if (i >= length)
			break;
		n = length - i;
		if (n > sizeof(words))
			n = sizeof(words);
		__builtin_memset(words, 0, sizeof(words));
		if (bpf_probe_read_kernel(words, n, (const void *)(at + i)))
			return 0;
		for (j = 0; j < 8; j++) {
			digest = (digest ^ words[j]) * key;
			digest = (digest ^ digest >> 29) * key;
		}
	}
	return (digest ^ digest >> 32) | 1;
}

/* `page` is the address of a struct page. Differences are right whatever the first page is. */
km_inline __u64 km_page_at(__u64 page)
{
	struct page *sized;

	return page / bpf_core_type_size(*sized) * KM_PAGE_SIZE;
}

#endif
