/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Ports where waypoints read a header: who gets none written here could write one of its own, so it is kept from them. */
#ifndef KMESH_LIB_WAYPOINT_PORT_H
#define KMESH_LIB_WAYPOINT_PORT_H

#include "lib/addr.bpf.h"
#include "lib/lookup.bpf.h"
#include "lib/range.bpf.h"
#include "maps/waypoint.bpf.h"

/* Most ports are no waypoint's by the filter, and nothing is looked up. */
km_inline bool km_maybe_waypoint_port(__be16 port)
{
	const __u32 zero = 0;
	const struct km_setting *settings = bpf_map_lookup_elem(&setting, &zero);

	return settings && settings->ports >> (bpf_ntohs(port) & 63) & 1;
}

/*
 * Addresses that nobody tells of, as everybody has his own: of a link (fe80::/10) as fe80::, those by which a network calls itself
 * (127.0.0.0/8, ::1, and 0.0.0.0 and :: where connect() goes to these) as ::1.
 */
km_inline void km_stand_in(union km_addr *addr)
{
	const bool of_link = (addr->w[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
	const __u32 last = bpf_ntohl(addr->w[3]);
	const bool itself = km_addr_is4(addr) ? last >> 24 == 127 || !last :
						!(addr->w[0] | addr->w[1] | addr->w[2]) && last <= 1;

	if (!of_link && !itself)
		return;
	addr->w[0] = of_link ? bpf_htonl(0xfe800000) : 0;
	addr->w[1] = 0;
	addr->w[2] = 0;
	addr->w[3] = of_link ? 0 : bpf_htonl(1);
}

/* Of a port that the filter lets through: whether this client may not dial it. */
km_apart bool km_is_waypoint_port(const struct km_frontend_key *to, __u32 workload_id)
{
	struct km_frontend_key key = {.protocol = KM_IPPROTO_TCP};
	int i;

	if (!to || km_setting_flags() & KM_SETTING_PORTS_FULL)
		return true;
	key.addr = to->addr;
	key.port = to->port;
	km_stand_in(&key.addr);
	/* A key that is being written anew can hide from one look-up. */
	for (i = 0; i < 2; i++) {
		const struct km_waypoint_port *value = bpf_map_lookup_elem(&waypoint_port, &key);
		__u64 raw;

		if (!value)
			continue;
		raw = km_read_once(value);
		/* With the tag of another key it is another's value, which does not say whose port this is. */
		return !workload_id || (__u32)raw != workload_id || raw >> 32 != km_frontend_tag(&key);
	}
	return false;
}

#endif
