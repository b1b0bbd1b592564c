/* SPDX-License-Identifier: GPL-2.0-only */
/* Which service a packet is for, and what user space said about it. */
#ifndef SYNWARD_XDP_SERVICES_H
#define SYNWARD_XDP_SERVICES_H

#include "maps.h"
#include "parse.h"

/* A hash look-up with the address; only services that name addresses pay for it. */
static __always_inline __u32 services_by_address(__u32 generation, const struct view *v,
						 const int family)
{
	struct sw_address_key key = {
		.port = v->in.ports >> 16,
		.generation = generation,
	};
	__u32 *words = (__u32 *)key.address;
	__u32 *service;

	if (family == SW_IPV4) {
		words[2] = bpf_htonl(0xffff);
		words[3] = v->in.destination[0];
	} else {
		words[0] = v->in.destination[0];
		words[1] = v->in.destination[0] >> 32;
		words[2] = v->in.destination[1];
		words[3] = v->in.destination[1] >> 32;
	}
	service = bpf_map_lookup_elem(&sw_addresses, &key);
	return service ? *service & (SW_SERVICES - 1) : 0;
}

/* 0: none. */
static __always_inline __u32 services_find(const struct sw_memory *memory, __u32 generation,
					   const struct view *v, const int family)
{
	__u64 port = __builtin_bswap16(v->in.ports >> 16);
	__u32 service;

	BOUND_MASK(port, 0xffff);
	service = memory->ports[generation].service[port];
	if (service == SW_PORT_BY_ADDRESS)
		return services_by_address(generation, v, family);
	return service & (SW_SERVICES - 1);
}

static __always_inline struct sw_service *services_get(struct sw_memory *memory, __u32 generation,
						       __u64 service)
{
	BOUND_MASK(service, 255);
	return &memory->services[generation & 1][service];
}

static __always_inline struct sw_state *services_state(struct sw_memory *memory, __u64 service)
{
	BOUND_MASK(service, 255);
	return &memory->state[service];
}

#endif
