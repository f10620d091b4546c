// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* One instance of every shared struct and enum, so that this object's BTF holds them all. Never loaded. */
#include "kmesh/abi.h"
#include "kmesh/reasons.h"

struct km_abi {
	struct km_enrolled enrolled;
	struct km_level level;
	struct km_client client;
	struct km_enrolment enrolment;
	struct km_frontend_key frontend_key;
	struct km_frontend frontend;
	struct km_variant_key variant_key;
	struct km_cidr_key cidr_key;
	struct km_backend backend;
	struct km_backend_header backend_header;
	struct km_backend_via backend_via;
	struct km_via_ports via_ports;
	struct km_endpoint endpoint;
	struct km_maglev maglev;
	struct km_sock sock;
	struct km_affinity_key affinity_key;
	struct km_affinity affinity;
	struct km_udp_key udp_key;
	struct km_udp_flow udp_flow;
	struct km_udp_reverse udp_reverse;
	struct km_active active;
	struct km_waypoint_client waypoint_client;
	struct km_waypoint_service waypoint_service;
	struct km_miss miss;
	struct km_miss_record miss_record;
	struct km_authz_dest authz_dest;
	struct km_authz_stack authz_stack;
	struct km_authz_set authz_set;
	struct km_authz_source authz_source;
	struct km_authz_value_key authz_value_key;
	struct km_authz_value authz_value;
	struct km_authz_range_key authz_range_key;
	struct km_authz_range authz_range;
	struct km_authz_hit authz_hit;
	struct km_authz_state authz_state;
	struct km_denial_limit denial_limit;
	struct km_denial denial;
	struct km_pod pod;
	struct km_sent_key sent_key;
	struct km_listening listening;
	struct km_name_key name_key;
	struct km_name name;
	struct km_setting setting;
	struct km_sock_record sock_record;
	struct km_old_record old_record;
	struct km_denied_record denied_record;
	enum km_reason reason;
	enum km_policy policy;
	enum km_name_kind name_kind;
	enum km_miss_state miss_state;
} km_abi;
