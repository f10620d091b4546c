/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The few kernel fields that the programs read. Names only matter: CO-RE finds the offsets of the running kernel at load. */
#ifndef KMESH_KERNEL_H
#define KMESH_KERNEL_H

#include <linux/types.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* From the socket headers, which cannot be included beside the kernel's own structs. */
#define KM_AF_INET 2
#define KM_AF_INET6 10
#define KM_IPPROTO_TCP 6
#define KM_IPPROTO_UDP 17
#define KM_IPPROTO_MPTCP 262
#define KM_IPPROTO_UDPLITE 136
#define KM_ECONNREFUSED 111
#define KM_SOL_SOCKET 1
#define KM_EOPNOTSUPP 95
#define KM_SO_KEEPALIVE 9
#define KM_SO_BINDTODEVICE 25
#define KM_SO_BINDTOIFINDEX 62
#define KM_TCP_KEEPIDLE 4
#define KM_TCP_KEEPINTVL 5
#define KM_TCP_KEEPCNT 6
#define KM_TCP_USER_TIMEOUT 18
#define KM_TCPHDR_FIN 1
#define KM_SHUTDOWN_BOTH 3
#define KM_LOOPBACK 1 /* ifindex of lo in every network namespace */

#define KM_NS_PER_SECOND 1000000000ull

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
	int level;
	struct cgroup *ancestors[]; /* 6.1; before: ancestor_ids */
};

struct sock_cgroup_data {
	struct cgroup *cgroup; /* 5.15; before: a tagged word */
};

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	possible_net_t nd_net;
};

struct sk_buff {
	struct net_device *dev;
	char cb[48];
	unsigned int len, data_len;
	unsigned int end; /* 64 bits: from head */
	unsigned char *head;
};

/* Before 6.9 struct bio_vec; its members have always been a page, a length and an offset. */
struct skb_frag {
	__u32 len;
};

struct skb_shared_info {
	__u8 flags; /* what others than the kernel may do with the pages; 0: nothing */
	__u8 nr_frags;
	struct skb_frag frags[1];
};

struct tcp_skb_cb {
	__u32 seq;
	__u32 end_seq;
};

struct page {
	unsigned long flags;
};

struct bpf_ringbuf {
	unsigned long consumer_pos; /* each begins a page of its own */
	unsigned long producer_pos;
};

struct scatterlist {
	unsigned long page_link; /* struct page *; the low two bits are marks */
	unsigned int offset;
};

struct sk_msg_sg {
	__u32 start;
	struct scatterlist data[1];
};

struct sk_msg {
	struct sk_msg_sg sg;
	void *data;
};

struct bpf_sock_ops_kern {
	struct sk_buff *skb;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num; /* local port, host order */
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct bpf_local_storage;
struct socket;

typedef struct {
	int counter;
} atomic_t;

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	__u32 sk_max_ack_backlog; /* what listen() was given; accepted sockets have that of their listener */
	struct bpf_local_storage *sk_bpf_storage;
	int sk_write_pending; /* threads that wait within send() */
	__u8 sk_shutdown;
	struct socket *sk_socket; /* NULL: nobody has accepted it yet, or all have closed it */
	atomic_t sk_zckey; /* parts of messages that were sent with MSG_ZEROCOPY */
};

struct tcp_fastopen_request;

struct tcp_sock {
	__u32 rcv_nxt;
	__u32 write_seq; /* of the byte after the last that was taken from the application */
	__u32 snd_una;
	__u32 snd_up; /* other than snd_una: of the byte after the one that is urgent */
	struct tcp_fastopen_request *fastopen_req; /* data that send() gave the SYN */
	__u8 fastopen_connect : 1; /* the first send() will */
};

struct udp_sock;

struct mptcp_sock {
	struct sock *first; /* the subflow that connect() dials; joins come later */
};

struct bpf_map {
	__u32 max_entries;
};

/* What a sockhash is in the kernel. */
struct bpf_shtab {
	struct bpf_map map;
	atomic_t count;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop

/* 6.2: any pointer read as a kernel struct; costs no instruction, a bad address reads as 0. */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;
/* 6.2: the kernel's own struct behind a program's context. */
extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;
/* 6.5: socket iterators only. */
extern int bpf_sock_destroy(struct sock_common *sk) __ksym;

#define km_kernel_cast(type, ptr) ((type *)bpf_rdonly_cast((ptr), bpf_core_type_id_kernel(type)))

#endif
