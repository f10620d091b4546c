/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Whether the bytes that leave are those of the header that was made. */
#ifndef KMESH_LIB_PROOF_H
#define KMESH_LIB_PROOF_H

#include "kmesh/kernel.h"
#include "lib/storage.bpf.h"

#define KM_HEADER_MOST (52 + KM_CLIENT_TLVS + KM_SERVICE_TLVS)
#define KM_DIGESTED 64 /* bytes at once */
_Static_assert(KM_HEADER_MOST <= KM_SOCK_PART >> KM_SOCK_PART_SHIFT, "KM_SOCK_PART");

/* Of the kernel's memory: `length` bytes from `at` on, and what comes after them from `next` on. */
struct km_pieces {
	__u64 at;
	__u64 next;
	__u32 length;
};

/* The second half is only there because the verifier adds the largest offset to the largest length. */
struct km_words {
	__u64 w[2 * KM_DIGESTED / sizeof(__u64)];
};

/* At most KM_DIGESTED bytes from offset `i` of the pieces on, and zeros. */
km_apart bool km_read_pieces(struct km_words *words, const struct km_pieces *pieces, __u32 i, __u32 n)
{
	__u32 before, rest;

	if (!words || !pieces || n > KM_DIGESTED)
		return false;
	__builtin_memset(words, 0, KM_DIGESTED);
	if (i + n <= pieces->length)
		return !bpf_probe_read_kernel(words, n, (const void *)(pieces->at + i));
	if (i >= pieces->length)
		return !bpf_probe_read_kernel(words, n, (const void *)(pieces->next + i - pieces->length));
	before = pieces->length - i;
	rest = n - before;
	/* Both are less than that; the compiler would not say so again to the verifier. */
	asm volatile("" : "+r"(before), "+r"(rest));
	before &= KM_DIGESTED - 1;
	rest &= KM_DIGESTED - 1;
	return !bpf_probe_read_kernel(words, before, (const void *)(pieces->at + i)) &&
	       !bpf_probe_read_kernel((__u8 *)words + before, rest, (const void *)pieces->next);
}

/*
 * Of the header of so many bytes that begins in the pieces; 0: it could not be read. What applications cannot see, the first sequence
 * number, is a secret: the two products by it keep them from finding other bytes with the same digest.
 */
km_apart __u64 km_digest(const struct km_pieces *pieces, __u32 length, __u32 secret)
{
	const __u64 key = (secret * 0x9e3779b97f4a7c15ull) | 1;
	struct km_words words = {};
	__u64 digest = key;
	__u32 i, j;

	for (i = 0; i < KM_HEADER_MOST && i < length; i += KM_DIGESTED) {
		const __u32 left = length - i;

		if (!km_read_pieces(&words, pieces, i, left < KM_DIGESTED ? left : KM_DIGESTED))
			return 0;
		for (j = 0; j < KM_DIGESTED / sizeof(words.w[0]); j++) {
			digest = (digest ^ words.w[j]) * key;
			digest = (digest ^ digest >> 29) * key;
		}
	}
	return (__u32)(digest ^ digest >> 32) | 1 | (digest >> 48 | 1) << 32;
}

km_inline bool km_is_digest(const struct km_sock *held, __u64 digest)
{
	return (__u32)digest == held->digest && (!held->digest_more || held->digest_more == digest >> 32);
}

/* `page` is the address of a struct page. Differences are right whatever the first page is. */
km_inline __u64 km_page_at(__u64 page)
{
	/* Members of this one have a page each. */
	const __u64 page_size = bpf_core_field_offset(struct bpf_ringbuf, producer_pos) -
				bpf_core_field_offset(struct bpf_ringbuf, consumer_pos);
	struct page *sized;

	return page / bpf_core_type_size(*sized) * page_size;
}

#endif
