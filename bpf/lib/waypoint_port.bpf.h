/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Ports where waypoints read a header: who gets none written here could write one of its own, so it is kept from them. */
#ifndef KMESH_LIB_WAYPOINT_PORT_H
#define KMESH_LIB_WAYPOINT_PORT_H

#include "lib/addr.bpf.h"
#include "lib/lookup.bpf.h"
#include "maps/enrol.bpf.h"
#include "maps/waypoint.bpf.h"

/* Most ports are no waypoint's by the filter, and nothing is looked up. */
km_inline bool km_maybe_waypoint_port(__be16 port)
{
	const __u32 zero = 0;
	const struct km_setting *settings = bpf_map_lookup_elem(&setting, &zero);

	return settings && settings->ports >> (bpf_ntohs(port) & 63) & 1;
}

/* One whose network is not known may be in the node's. */
km_inline bool km_is_on_node(__u32 workload_id)
{
	const struct km_client *self = bpf_map_lookup_elem(&client, &workload_id);

	return !self || self->flags & KM_CLIENT_NODE;
}

/*
 * Of a port that the filter lets through: whether this client may not dial it. Also its own waypoint may not: it could be asked by others
 * to go there, and to say what they want.
 */
km_apart bool km_is_waypoint_port(const struct km_frontend_key *to, __u32 workload_id, __u32 enrolled_as)
{
	struct km_frontend_key key = {.protocol = KM_IPPROTO_TCP};
	bool full, itself;
	int i;

	if (!to)
		return true;
	full = km_setting_flags() & KM_SETTING_PORTS_FULL;
	key.addr = to->addr;
	key.port = to->port;
	/* Everybody has his own of these, and nobody tells of them: each kind has one entry. */
	itself = km_is_itself(&key.addr);
	if (itself || km_is_link_local(&key.addr)) {
		key.addr.w[0] = itself ? 0 : bpf_htonl(0xfe800000);
		key.addr.w[1] = 0;
		key.addr.w[2] = 0;
		key.addr.w[3] = itself ? bpf_htonl(1) : 0;
	}
	if (full && !itself)
		return true;
	/* A key that is being written anew can hide from one look-up. */
	for (i = 0; i < 2; i++) {
		const __u32 *flags = bpf_map_lookup_elem(&waypoint_port, &key);

		if (!flags)
			continue;
		if (!itself || enrolled_as & KM_ENROLLED_WAYPOINT)
			return true;
		return *flags & KM_PORT_NODE && km_is_on_node(workload_id);
	}
	return full && (enrolled_as & KM_ENROLLED_WAYPOINT || km_is_on_node(workload_id));
}

#endif
