/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A walk over the sockets of a namespace, started by user space after arming
 * and from time to time: each socket on a protected port is stamped into the
 * filter. Afterwards the filter's "never seen" can be believed.
 */
#ifndef SYNWARD_XDP_LEARN_H
#define SYNWARD_XDP_LEARN_H

#include "flows.h"

SEC("iter/tcp")
int synward_learn(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	__u64 source[2] = {};
	struct sw_memory *memory = memory_get();
	__u32 generation, tuple;
	__u16 port, family;
	struct in6_addr address;

	if (!sk || !memory)
		return 0;
	if (BPF_CORE_READ(sk, skc_state) == TCP_LISTEN)
		return 0;
	generation = memory->config.generation & 1;
	port = BPF_CORE_READ(sk, skc_num);
	if (!memory->ports[generation].service[port])
		return 0;
	tuple = BPF_CORE_READ(sk, skc_dport) | (__u32)bpf_htons(port) << 16;
	family = BPF_CORE_READ(sk, skc_family);
	if (family == AF_INET) {
		source[0] = BPF_CORE_READ(sk, skc_daddr);
		flows_stamp(memory, source, tuple, SW_IPV4);
	} else if (family == AF_INET6) {
		BPF_CORE_READ_INTO(&address, sk, skc_v6_daddr);
		__builtin_memcpy(source, &address, sizeof(source));
		/* IPv4 through an IPv6 socket: on the wire it is IPv4 */
		if (!source[0] && (__u32)source[1] == bpf_htonl(0xffff)) {
			source[0] = source[1] >> 32;
			source[1] = 0;
			flows_stamp(memory, source, tuple, SW_IPV4);
		} else {
			flows_stamp(memory, source, tuple, SW_IPV6);
		}
	}
	return 0;
}

#endif
