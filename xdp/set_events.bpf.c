// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells user space what the ipset command (or anybody else by netlink) does to
 * the sets of one network namespace, when it is done. Entries that time out or
 * that a firewall rule adds do not pass here.
 *
 * The functions are those of net/netfilter/ipset/ip_set_core.c; their arguments
 * are the same from Linux 5.12 on. An object of its own, because not every kernel
 * lets them be traced.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "abi/set_event.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

struct nfnl_info {
	struct net *net;
};

struct nlattr {
	__u16 nla_len;
	__u16 nla_type;
};

#pragma clang attribute pop

/* linux/netfilter/ipset/ip_set.h */
#define IPSET_ATTR_SETNAME 2
#define IPSET_ATTR_SETNAME2 3
#define IPSET_ATTR_DATA 7

/* The namespace's inode number; user space writes it before loading. */
const volatile __u32 namespace_inode = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, SW_SET_EVENTS_BYTES);
} sw_set_events SEC(".maps");

__u32 lost = 0;

static __always_inline void copy_name(char *to, const struct nlattr *const *attr, int which)
{
	const struct nlattr *name = 0;

	bpf_probe_read_kernel(&name, sizeof(name), &attr[which]);
	if (name)
		bpf_probe_read_kernel_str(to, SW_SET_NAME_LENGTH, (const char *)name + 4);
}

static __always_inline void copy_entry(struct sw_set_event *event, const struct nlattr *single)
{
	__u16 length = 0;

	bpf_probe_read_kernel(&length, sizeof(length), &single->nla_len);
	length -= sizeof(*single);
	if (length > SW_SET_ENTRY_LENGTH)
		return;
	if (bpf_probe_read_kernel(event->entry, length, (const char *)single + sizeof(*single)))
		return;
	event->entry_length = length;
}

static __always_inline int tell(const struct nfnl_info *info, const struct nlattr *const *attr,
				__u32 operation, int result)
{
	const struct nlattr *single = 0;
	struct sw_set_event *event;

	if (BPF_CORE_READ(info, net, ns.inum) != namespace_inode)
		return 0;
	if (operation == SW_SET_ADD || operation == SW_SET_REMOVE)
		bpf_probe_read_kernel(&single, sizeof(single), &attr[IPSET_ATTR_DATA]);
	/* of many entries in one message, some were done before one failed */
	if (result && (single || (operation != SW_SET_ADD && operation != SW_SET_REMOVE)))
		return 0;
	event = bpf_ringbuf_reserve(&sw_set_events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->operation = operation;
	event->lost = lost;
	copy_name(event->name, attr, IPSET_ATTR_SETNAME);
	if (operation == SW_SET_SWAP || operation == SW_SET_RENAME)
		copy_name(event->other, attr, IPSET_ATTR_SETNAME2);
	if (single)
		copy_entry(event, single);
	/* wakes the reader only if it waits */
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* By helper, since the verifier lets nobody load an array of pointers as an argument. */
#define SET_PROGRAM(name, function, operation)                                         \
	SEC("fexit/" function)                                                         \
	int sw_set_##name(void *ctx)                                                   \
	{                                                                              \
		__u64 info = 0, attr = 0, result = 0;                                  \
                                                                                       \
		bpf_get_func_arg(ctx, 1, &info);                                       \
		bpf_get_func_arg(ctx, 2, &attr);                                       \
		bpf_get_func_ret(ctx, &result);                                        \
		return tell((const void *)info, (const void *)attr, operation, result); \
	}

SET_PROGRAM(add, "ip_set_uadd", SW_SET_ADD)
SET_PROGRAM(remove, "ip_set_udel", SW_SET_REMOVE)
SET_PROGRAM(flush, "ip_set_flush", SW_SET_FLUSH)
SET_PROGRAM(swap, "ip_set_swap", SW_SET_SWAP)
SET_PROGRAM(rename, "ip_set_rename", SW_SET_RENAME)
SET_PROGRAM(create, "ip_set_create", SW_SET_CREATE)
SET_PROGRAM(destroy, "ip_set_destroy", SW_SET_DESTROY)

char _license[] SEC("license") = "GPL";
