/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Layouts shared by the programs and userland (src/abi mirrors each; the object's BTF is compared at load). */
#ifndef KMESH_ABI_H
#define KMESH_ABI_H

#include "kmesh/abi-authz.h"
#include "kmesh/abi-base.h"

/* ---- enrolment ---- */

#define KM_ENROLLED_AUTHZ 2u /* what it accepts is judged */
#define KM_ENROLLED_WAYPOINT 4u /* a waypoint itself: what it calls goes through none */

/* enrolled: u64 cgroup id -> */
struct km_enrolled {
	__u32 workload_id; /* 0: not known by name */
	__u32 flags; /* KM_ENROLLED_* */
};

/* level: one entry: what tells most sockets, without a look-up, that they are not enrolled; and whether an identity in a socket counts */
#define KM_FILTER_WORDS 64
struct km_level {
	__u64 mask; /* bit n set: some enrolled cgroup lies n levels below the root */
	/*
	 * Raised by two with every change of enrolled, in two steps: odd while it is changed. Identities kept in sockets hold for
	 * the epoch they were found in; none does while it is odd.
	 */
	__u64 epoch;
	__u64 filter[KM_FILTER_WORDS]; /* the bits of km_filter_mask(cgroup id) set for every enrolled cgroup */
};

#define KM_CLIENT_NODE 1u /* in the network of the node */

/* client: u32 workload id -> what a node-local workload needs as a client */
struct km_client {
	union km_addr addr4; /* v4-mapped; zero: none */
	union km_addr addr6; /* zero: none */
	__u32 namespace_id;
	__u32 flags; /* KM_CLIENT_* */
};

/* enrolment: u64 cgroup id -> what was asked for when it was enrolled; userland only */
#define KM_ENROLMENT_NAME 320
#define KM_ENROLMENT_AUTHZ 1u /* what it accepts is judged */
#define KM_ENROLMENT_WAYPOINT 2u /* it is a waypoint */
struct km_enrolment {
	__u64 netns; /* inode of the network namespace, 0: not known */
	__u64 since_ns; /* since the epoch */
	__u32 level; /* below the true cgroup2 root */
	__u32 authz; /* KM_ENROLMENT_* */
	__u8 workload[KM_ENROLMENT_NAME]; /* "namespace/name" in UTF-8, zero-filled; empty: none given */
};

/* ---- services ---- */

/* frontend: an address clients dial; port 0 (while KM_SETTING_ANY_PORT is set): those of its ports that have no entry */
struct km_frontend_key {
	union km_addr addr;
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 pad;
};

#define KM_BACKEND_NONE 0u
#define KM_BACKEND_VARIANT 0xffffffffu /* ask variant with the client's namespace */

/* One aligned u64, so that a reader never sees half of it; tag is km_frontend_tag(key): a slot reused at once is noticed. */
struct km_frontend {
	__u32 backend_id;
	__u32 tag;
};

struct km_variant_key {
	union km_addr addr;
	__be16 port;
	__u8 protocol;
	__u8 prefix; /* 0: addr is an exact address; else the bits (of 128) of the range that starts at addr */
	__u32 namespace_id; /* 0: every namespace without a variant of its own */
};

/*
 * cidr: LPM trie; prefixlen counts port, protocol and pad (32 bits) before the address bits. Its struct km_frontend carries in tag
 * the bits of the range's prefix (of 128), so that a range with variants finds them: a matched node does not tell its length.
 */
struct km_cidr_key {
	__u32 prefixlen;
	__be16 port;
	__u8 protocol;
	__u8 pad;
	union km_addr addr;
};

/* backend: array[backend id]; one aligned u64. first 0: no such backend */
struct km_backend {
	__u32 first; /* index of the header slot in endpoint */
	__u32 generation; /* equals the header's */
};

enum km_policy {
	KM_POLICY_RANDOM = 0,
	KM_POLICY_ROUND_ROBIN = 1,
	KM_POLICY_LEAST_REQUEST = 2,
	KM_POLICY_SOURCE_HASH = 3,
};

#define KM_BACKEND_PASSTHROUGH 1u /* leave the destination alone always (ServiceEntry resolution NONE) */
#define KM_BACKEND_EMPTY_DIRECT 2u /* leave it alone when there is no endpoint */
#define KM_BACKEND_VIA 4u /* a struct km_backend_via follows the endpoints: TCP goes through a waypoint, whatever the other flags say */

/* endpoint[first]: immutable once a km_backend names it; the count endpoints follow at first + 1 */
struct km_backend_header {
	__u32 backend_id;
	__u32 generation;
	__u32 service_id;
	__u32 count;
	__u32 maglev_first; /* in maglev slots (two indexes each) */
	__u32 maglev_size; /* prime number of indexes */
	__u32 affinity_seconds; /* 0: none */
	__u8 policy;
	__u8 flags;
	__u16 pad;
};

#define KM_VIA_DIRECT 1u /* while the waypoint has no endpoint: as if there were no waypoint; else refused */
#define KM_VIA_REFUSE 2u /* always refused: the server speaks first */
#define KM_VIA_LISTED_DIRECT 4u /* at ports that are listed: as if there were no waypoint; else refused there */

/* endpoint[first + 1 + count] of a header with KM_BACKEND_VIA */
struct km_backend_via {
	__u32 backend_id; /* of the waypoint: its endpoints say which header they want */
	__u32 flags; /* KM_VIA_* */
	__u32 listed; /* ports whose server speaks first, in the slots that follow this one */
	__u32 pad[5];
};

#define KM_LISTED 16 /* in a slot */

/* endpoint[first + 2 + count + i] of a header whose km_backend_via lists ports: all of them in ascending order, the rest of the last slot 0 */
struct km_via_ports {
	__u16 ports[KM_LISTED];
};

/* Of endpoints of waypoints; neither: no header */
#define KM_ENDPOINT_PROXY 1u /* PROXY protocol, version 2 */
#define KM_ENDPOINT_KMESH 2u /* type, length, address, port and an end mark */

/* endpoint[first + 1 + i], sorted by (workload_id, addr, port) so that one is found by bisection */
struct km_endpoint {
	union km_addr addr;
	__be16 port; /* 0, of waypoints: the one that was dialled */
	__u16 flags; /* KM_ENDPOINT_* */
	__u32 workload_id;
	__u32 threshold; /* alias table: take i when random32 < threshold, else alias; least request: the weight */
	__u32 alias;
};

struct km_maglev {
	__u32 index[2];
};

/* ---- state that programs keep ---- */

#define KM_SOCK_ENROLLED 1u /* in the epoch it names */
#define KM_SOCK_TRANSLATED 2u /* orig_* and backend_* hold a rewritten destination */
#define KM_SOCK_COUNTED 4u /* counted in active[peer_workload_id] */
#define KM_SOCK_UDP 8u
#define KM_SOCK_FLOWS 16u /* sent datagrams through udp_flow: replies may need udp_reverse */
#define KM_SOCK_SUBFLOW 32u /* made by the kernel for an MPTCP socket, whose own storage says what getpeername shows */
#define KM_SOCK_ENFORCED 64u /* with KM_SOCK_ENROLLED: what is enrolled has KM_ENROLLED_AUTHZ */
#define KM_SOCK_ACCEPTED 128u /* the peer opened the connection */
#define KM_SOCK_WAYPOINT 256u /* with KM_SOCK_ENROLLED: what is enrolled has KM_ENROLLED_WAYPOINT */
#define KM_SOCK_VIA 512u /* with KM_SOCK_TRANSLATED: it went to a waypoint */
#define KM_SOCK_ARMED 1024u /* in waypoint_sock: nothing may be sent before the header */
#define KM_SOCK_HEADER 2048u /* the header was put before the first bytes */
#define KM_SOCK_ENDED 4096u /* it could not be: no byte leaves the socket */
#define KM_SOCK_PROVEN 8192u /* it has left, as the first bytes */
#define KM_SOCK_PART_SHIFT 16 /* while it has not: so many bytes of it have */
#define KM_SOCK_PART (1023u << KM_SOCK_PART_SHIFT)

/*
 * sock: socket storage. Every version keeps the map, so its size stays: a new member takes words of reserved, and means nothing while
 * it is zero, as it is in the sockets of the version before.
 */
struct km_sock {
	__u64 cgroup_id; /* the enrolled cgroup */
	__u32 workload_id;
	__u32 flags;
	union km_addr orig_addr; /* what the application dialled */
	union km_addr backend_addr; /* where it went */
	__be16 orig_port;
	__be16 backend_port;
	__u32 backend_id;
	__u32 peer_workload_id;
	__u32 generation; /* of the range the choice was made from: while equal, the endpoint is still a member */
	__u64 epoch; /* of km_level when the identity was found */
	__u32 service_id; /* of what was dialled, for the header */
	__u16 header; /* KM_ENDPOINT_* of the waypoint */
	__u16 pad;
	__u32 start; /* sequence number of the first byte */
	__u32 length; /* of the header, while KM_SOCK_HEADER */
	__u64 pages; /* where the kernel has the bytes of page 0, the page of the header being its n-th; while KM_SOCK_HEADER */
	__u32 digest; /* of the header; likewise */
	__u16 digest_more; /* more of it; 0: by the version before */
	__u16 reserved;
};

struct km_affinity_key {
	__u64 client; /* workload id, or the cgroup id with the top bit set when it has none */
	__u32 backend_id;
	__u32 pad;
};

struct km_affinity {
	__u64 used_ns; /* CLOCK_MONOTONIC of the last connection */
	union km_addr addr;
	__u32 workload_id;
	__be16 port;
	__u16 pad;
};

/* udp_flow: {socket, service} -> the endpoint its datagrams go to */
struct km_udp_key {
	__u64 cookie;
	union km_addr addr;
	__be16 port;
	__u16 pad;
	__u32 pad2;
};

struct km_udp_flow {
	union km_addr addr;
	__be16 port;
	__u16 pad;
	__u32 backend_id;
	__u32 index; /* where it stood in the range when last used: looked at first */
	__u32 workload_id;
};

/* udp_reverse: {socket, endpoint} -> the service address its replies carry */
struct km_udp_reverse {
	union km_addr addr;
	__be16 port;
	__u16 pad;
	__u32 pad2;
};

/* active: array[workload id] -> open connections counted here */
struct km_active {
	__s64 connections;
};

/* ---- waypoints ---- */

/* Bytes of the PROXY header's type-length-value parts, as they stand in it. What does not fit is left out by who writes it. */
#define KM_CLIENT_TLVS 592
#define KM_SERVICE_TLVS 328

/* waypoint_client: u32 workload id -> who it is */
struct km_waypoint_client {
	__u32 id; /* the key: one that is used again while it is read is noticed */
	__u32 length;
	__u8 tlvs[KM_CLIENT_TLVS];
};

/* waypoint_service: u32 service id -> what it is called */
struct km_waypoint_service {
	__u32 id; /* the key */
	__u32 length;
	__u8 tlvs[KM_SERVICE_TLVS];
};

/*
 * waypoint_port: struct km_frontend_key (TCP) of every address and port where a waypoint reads a header -> u32 KM_PORT_*. Only connections that
 * get a header here may go there. fe80:: stands for all of fe80::/10, ::1 for 127.0.0.0/8, ::1, 0.0.0.0 and ::.
 */
#define KM_PORT_NODE 1u /* of ::1: in the network of this node; else it counts for waypoints alone */

/* ---- on demand ---- */

enum km_miss_state {
	KM_MISS_ASKED = 1, /* nobody has said yet whether the mesh knows the address */
	KM_MISS_ANSWERED = 2, /* what the mesh knows of it is in the maps */
};

/* Reported again, when it is dialled, so long after the last time: an answer may have grown old. */
#define KM_MISS_AGAIN_NS 30000000000ull

/* miss: union km_addr that was dialled and had no frontend -> */
struct km_miss {
	__u64 since_ns; /* CLOCK_MONOTONIC when it was reported last */
	__u32 state;
	__u32 pad;
};

/* misses: a record for each address that is to be asked for, or asked for again */
struct km_miss_record {
	union km_addr addr;
	__u64 since_ns;
	__u32 state; /* KM_MISS_ANSWERED: this is not the first time */
	__u32 pad;
};

/* ---- names ---- */

enum km_name_kind {
	KM_NAME_WORKLOAD = 1,
	KM_NAME_SERVICE = 2,
	KM_NAME_BACKEND = 3,
	KM_NAME_NAMESPACE = 4,
	KM_NAME_IDENTITY = 5, /* the principal */
	KM_NAME_POLICY = 6, /* "namespace/name" */
};

/* name: the id table. Part 0 is written last and holds the whole length in bytes. */
struct km_name_key {
	__u32 id;
	__u16 kind;
	__u16 part;
};

#define KM_NAME_PART 60
struct km_name {
	__u32 length;
	__u8 text[KM_NAME_PART];
};

/* settings: one entry, written whole by the agent */
#define KM_SETTING_CIDR 1u /* cidr holds something */
#define KM_SETTING_ON_DEMAND 2u /* what has no frontend is asked for */
#define KM_SETTING_MISS_REFUSE 4u /* and refused until the answer is there; else it goes where it was dialled */
#define KM_SETTING_ANY_PORT 8u /* frontend has entries with port 0 */
#define KM_SETTING_PORTS_FULL 16u /* waypoint_port lacks some: what ports says is refused whatever the address */
struct km_setting {
	__u32 abi_version;
	__u32 flags;
	__u64 ports; /* a filter of the ports in waypoint_port: bit (port & 63) is set for each */
};

#define KM_ABI_VERSION 1

/* ---- records that iterators write ---- */

struct km_sock_record {
	__u64 cookie;
	__u32 workload_id;
	__u32 flags;
	__u32 backend_id;
	__u32 peer_workload_id;
	__u32 service_id; /* of a connection to a waypoint */
	__u32 pad;
};

struct km_old_record {
	__u64 cookie;
	__u64 cgroup_id;
	union km_addr local;
	union km_addr remote;
	__be16 local_port;
	__be16 remote_port;
	__u8 protocol;
	__u8 state; /* TCP_* */
	__u16 pad;
};

KM_SIZE(km_enrolled, 8);
KM_SIZE(km_level, 16 + 8 * KM_FILTER_WORDS);
KM_SIZE(km_client, 40);
KM_SIZE(km_enrolment, 344);
KM_SIZE(km_frontend_key, 20);
KM_SIZE(km_frontend, 8);
KM_SIZE(km_variant_key, 24);
KM_SIZE(km_cidr_key, 24);
KM_SIZE(km_backend, 8);
KM_SIZE(km_backend_header, 32);
KM_SIZE(km_backend_via, 32);
KM_SIZE(km_via_ports, 32);
KM_SIZE(km_endpoint, 32);
KM_SIZE(km_maglev, 8);
KM_SIZE(km_sock, 104);
KM_SIZE(km_affinity_key, 16);
KM_SIZE(km_affinity, 32);
KM_SIZE(km_udp_key, 32);
KM_SIZE(km_udp_flow, 32);
KM_SIZE(km_udp_reverse, 24);
KM_SIZE(km_active, 8);
KM_SIZE(km_waypoint_client, 8 + KM_CLIENT_TLVS);
KM_SIZE(km_waypoint_service, 8 + KM_SERVICE_TLVS);
KM_SIZE(km_miss, 16);
KM_SIZE(km_miss_record, 32);
KM_SIZE(km_name_key, 8);
KM_SIZE(km_name, 64);
KM_SIZE(km_setting, 16);
KM_SIZE(km_sock_record, 32);
KM_SIZE(km_old_record, 56);

#endif
