/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Every way out of a program, counted in the map reason (src/abi/reasons.ts holds the same names in the same order). */
#ifndef KMESH_REASONS_H
#define KMESH_REASONS_H

enum km_reason {
	KM_REASON_NOT_ENROLLED = 0, /* the socket's cgroup is not enrolled */
	KM_REASON_UNKNOWN_DESTINATION, /* no frontend: left alone */
	KM_REASON_NOT_BALANCED_PROTOCOL, /* neither TCP nor UDP */
	KM_REASON_BALANCED, /* destination rewritten */
	KM_REASON_PASSTHROUGH, /* the service asks to be left alone */
	KM_REASON_EMPTY_DIRECT, /* no endpoint; the service allows going direct */
	KM_REASON_EMPTY_REFUSED, /* no endpoint: ECONNREFUSED */
	KM_REASON_NOT_VISIBLE, /* the service is not for this client's namespace: left alone */
	KM_REASON_TORN_FRONTEND, /* frontend kept changing while read: refused */
	KM_REASON_TORN_BACKEND, /* backend and range disagree: refused */
	KM_REASON_FAMILY, /* only endpoints of the family this socket cannot reach: refused */
	KM_REASON_FRONTEND_REREAD, /* a second look-up found what the first missed */
	KM_REASON_STORAGE_FULL, /* no memory for socket storage; a service that is dialled then is refused */
	KM_REASON_AFFINITY_KEPT,
	KM_REASON_AFFINITY_EXPIRED,
	KM_REASON_UDP_REBALANCED, /* the endpoint of this flow is gone: another was chosen */
	KM_REASON_UDP_FLOW_FULL, /* flow could not be recorded: replies would carry the wrong source; refused */
	KM_REASON_UDP_DESTROYED, /* a connected UDP socket whose endpoint is gone */
	KM_REASON_LATE_ENROLLED, /* socket made before enrolment, found on use */
	KM_REASON_TCP_OPENED,
	KM_REASON_TCP_CLOSED,
	KM_REASON_TCP_FAILED, /* never established */
	KM_REASON_MPTCP_JOIN, /* a further path of an open MPTCP connection: left alone */
	KM_REASON_MISS_DIRECT, /* an address that is being asked for: left alone meanwhile */
	KM_REASON_MISS_REFUSED, /* the same, refused meanwhile */
	KM_REASON_MISS_LOST, /* no room to report an address; the agent looks for it in the map */
	KM_REASON_AUTHZ_ALLOWED, /* to a pod that is judged: an ALLOW policy matched, or none holds */
	KM_REASON_AUTHZ_HOST, /* the source is the node itself: exempt */
	KM_REASON_AUTHZ_REPLY, /* answers a datagram of the pod: not judged */
	KM_REASON_AUTHZ_DENIED, /* a DENY policy matched */
	KM_REASON_AUTHZ_NO_MATCH, /* ALLOW policies hold, and none matched */
	KM_REASON_AUTHZ_CLOSED, /* something is wrong with the policies of the destination */
	KM_REASON_AUTHZ_PENDING, /* nothing is known of the destination yet */
	KM_REASON_AUTHZ_MISS, /* the source is being asked for, and policies ask who it is */
	KM_REASON_AUTHZ_TORN, /* tables disagree: denied */
	KM_REASON_AUTHZ_REREAD, /* a second look-up found what the first missed */
	KM_REASON_AUTHZ_HANDSHAKE, /* policies changed during the handshake, and deny it now */
	KM_REASON_AUTHZ_DESTROYED, /* open connections that are denied now */
	KM_REASON_DENIAL_LOST, /* a record of a denial beyond the rate, or without room */
	KM_REASON_SPOOFED, /* from an address that is not the pod's */
	KM_REASON_GROUP_DROPPED, /* multicast or broadcast to a pod that is judged */
	KM_REASON_WAYPOINT, /* went to a waypoint */
	KM_REASON_WAYPOINT_OWN, /* called by a waypoint: past it */
	KM_REASON_WAYPOINT_DIRECT, /* the waypoint has no endpoint; the service allows going without */
	KM_REASON_WAYPOINT_UNREADY, /* the waypoint has no endpoint: refused */
	KM_REASON_SERVER_FIRST, /* the server speaks first, so there is nothing to put the header before: refused */
	KM_REASON_WAYPOINT_FAST_OPEN, /* data in the SYN would overtake the header: refused */
	KM_REASON_WAYPOINT_MPTCP, /* MPTCP cannot carry the header: refused */
	KM_REASON_WAYPOINT_FULL, /* waypoint_sock is full: refused */
	KM_REASON_WAYPOINT_HEADER, /* the header was put before the first bytes */
	KM_REASON_WAYPOINT_ENDED, /* a connection that would have gone on without its header */
	KM_REASON_WAYPOINT_PORT, /* would have reached a port where a waypoint reads a header, and none is written: refused */
	KM_REASON_SERVER_FIRST_DIRECT, /* the server speaks first there, and such connections go without the waypoint */
	KM_REASON_MAX,
};

#endif
