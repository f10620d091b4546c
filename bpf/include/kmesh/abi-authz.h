/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The part of the layouts (abi.h) that authorization needs. */
#ifndef KMESH_ABI_AUTHZ_H
#define KMESH_ABI_AUTHZ_H

#include "kmesh/abi-base.h"

/* authz_dest: union km_addr of a workload that is judged -> one aligned u64; tag is km_addr_tag(key). No entry: nothing gets in. */
struct km_authz_dest {
	__u32 stack;
	__u32 tag;
};

#define KM_STACK_SETS 16
#define KM_STACK_ALLOWS 1u /* an ALLOW policy holds */
#define KM_STACK_DRY_ALLOWS 2u /* the same, dry runs counted too */
#define KM_STACK_DRY 4u /* some dry run holds */
#define KM_STACK_CLOSED 8u /* closed for what is wrong with its policies; it has KM_STACK_ALLOWS and no sets */

struct km_authz_stacked {
	__u32 set;
	__u32 destination; /* vector of the destination address in it */
};

/* authz_stack: array[stack id], never changed while an authz_dest names it; 0 is none */
struct km_authz_stack {
	__u32 generation; /* for its writer; 0: not in use */
	__u16 count;
	__u16 flags; /* KM_STACK_* */
	struct km_authz_stacked sets[KM_STACK_SETS];
};

enum km_dimension {
	KM_DIMENSION_IDENTITY = 0,
	KM_DIMENSION_SOURCE = 1,
	KM_DIMENSION_DESTINATION = 2,
	KM_DIMENSION_PORT = 3,
};

#define KM_SET_WORDS 64 /* of 64 conjunctions each */

/*
 * authz_set: array[set id], never changed while a stack names it; 0 is none. A vector is an index into authz_word: summary (which words
 * are not zero), changed (which differ from the usual ones of its dimension), and the changed words in order.
 */
struct km_authz_set {
	__u32 generation; /* for its writer; 0: not in use */
	__u8 ends[4]; /* words: where deny, allow, dry deny and dry allow end */
	__u32 used; /* bit d: some conjunction asks for dimension d; where none does every vector of d is the same */
	__u32 member; /* bit b is slot member + b of authz_member */
	__u32 usual[4]; /* by dimension: first of ends[3] words in authz_word */
	__u32 base[4]; /* by dimension: vector of values without an entry */
	__u32 anonymous; /* vector of a source without an identity */
	__u32 pad;
};

/* authz_member: whose conjunction a bit is: policy id, and which of its rules above that (the last number: that one or a later) */
#define KM_MEMBER_POLICY 0xfffffu
#define KM_MEMBER_RULE_SHIFT 20

#define KM_IDENTITY_NONE 0u
#define KM_IDENTITY_HOST 0xffffffffu /* an address of the node itself, which is exempt */

/* authz_source: union km_addr -> one aligned u64; tag is km_addr_tag(key). Identity 0 is never stored. */
struct km_authz_source {
	__u32 identity;
	__u32 tag;
};

#define KM_VALUE_PORT 0x80000000u

/* authz_value: vectors of identities and ports that have their own */
struct km_authz_value_key {
	__u32 set;
	__u32 value; /* identity id, or port | KM_VALUE_PORT */
};

/* One aligned u64; tag is km_authz_value_tag(key). */
struct km_authz_value {
	__u32 vector;
	__u32 tag;
};

/* authz_range: LPM trie of source ranges; prefixlen counts the set (32 bits) before the address bits */
struct km_authz_range_key {
	__u32 prefixlen;
	__u32 set;
	union km_addr addr;
};

struct km_authz_range {
	__u32 vector;
	__u32 set;
};

/* authz_hit: by policy id; 0 for those beyond the map, and where none decided */
struct km_authz_hit {
	__u64 denied;
	__u64 allowed;
	__u64 dry; /* would have decided, were it no dry run */
};

/* denial_limit: by policy id, likewise: how many of its denials are told of */
struct km_denial_limit {
	__u64 since_ns; /* start of the second that records are counted in */
	__u32 records;
	__u32 lost; /* not recorded since the last record */
};

/* authz_state: one entry */
struct km_authz_state {
	/*
	 * CLOCK_MONOTONIC, written right before and right after entries of authz_dest or authz_source change: from then on handshakes
	 * are judged once more at their end. How long one lasts is for the listener to say (TCP_DEFER_ACCEPT): it may be hours.
	 */
	__u64 changed_ns;
	__u32 flags; /* 0 */
	__u32 pad;
};

/* pod_address: union km_addr of a pod that is judged -> where it is: its netns, and the host's side of its link. */
struct km_pod {
	__u32 netns; /* inode */
	__u32 host_netns; /* inode */
	__u32 ifindex;
	__u32 flags; /* 0 */
};

/*
 * sent: datagrams of pods that are judged, of sockets that are not connected -> CLOCK_MONOTONIC. What answers them is not judged. With
 * KM_SENT_HEARD the peer sent first, and when it was last let in.
 */
#define KM_SENT_HEARD 1ull
struct km_sent_key {
	__u32 netns; /* inode */
	__be16 local_port;
	__be16 peer_port;
	union km_addr peer;
};

#define KM_SENT_NS 120000000000ull

/* listening: array[port / 64] -> of the ports that sockets listen at, as far as one walk over a network namespace has come */
struct km_listening {
	__u64 session; /* number of the walk; bits of another do not count */
	__u64 ports;
};

#define KM_DENIAL_DRY_RUN 1u /* let through: only with dry runs it would be denied */
#define KM_DENIAL_DRY_ALLOWS 2u /* with dry runs it would be allowed */
#define KM_DENIAL_HANDSHAKE 4u /* at the end of its handshake: no byte passes, the agent destroys it */
#define KM_DENIAL_OPEN 8u /* open already, judged again, destroyed */
#define KM_DENIAL_REQUEST 16u /* in the middle of its handshake, judged again; whoever reads this destroys it: programs cannot */

/* denials: a record for each, up to KM_DENIALS_A_SECOND for each policy on each CPU; recheck_tcp writes the same */
struct km_denial {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	union km_addr source;
	union km_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 why; /* enum km_reason */
	__u16 flags; /* KM_DENIAL_* */
	__u32 policy; /* as in authz_member; 0: none decided */
	__u32 dry_policy; /* the same, of the dry run that would decide */
	__u32 identity;
	__u32 lost; /* of the same policy and CPU, since the last record */
};

#define KM_DENIALS_A_SECOND 16u

/* An open connection that is denied now, and where it is. */
struct km_denied_record {
	union km_addr peer;
	__u32 netns; /* inode */
	__u32 pad;
};

KM_SIZE(km_authz_dest, 8);
KM_SIZE(km_authz_stack, 136);
KM_SIZE(km_authz_set, 56);
KM_SIZE(km_authz_source, 8);
KM_SIZE(km_authz_value_key, 8);
KM_SIZE(km_authz_value, 8);
KM_SIZE(km_authz_range_key, 24);
KM_SIZE(km_authz_range, 8);
KM_SIZE(km_authz_hit, 24);
KM_SIZE(km_denial_limit, 16);
KM_SIZE(km_authz_state, 16);
KM_SIZE(km_pod, 16);
KM_SIZE(km_sent_key, 24);
KM_SIZE(km_listening, 16);
KM_SIZE(km_denial, 64);
KM_SIZE(km_denied_record, 24);

#endif
