/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/* Records of the ring buffer sw_set_events: what was done to an ipset. */
#ifndef SYNWARD_ABI_SET_EVENT_H
#define SYNWARD_ABI_SET_EVENT_H

#include "types.h"

#define SW_SET_NAME_LENGTH 32 /* IPSET_MAXNAMELEN */

enum sw_set_operation {
	SW_SET_ADD,
	SW_SET_REMOVE,
	SW_SET_FLUSH,
	SW_SET_SWAP,
	SW_SET_RENAME,
	SW_SET_CREATE,
	SW_SET_DESTROY,
	SW_SET_OPERATION_COUNT
};

#define SW_SET_ENTRY_LENGTH 512 /* a comment of 255 bytes and everything else fit */

/* Names are NUL-terminated. An empty one means every set. */
struct sw_set_event {
	__u32 operation; /* enum sw_set_operation */
	__u32 lost;	 /* events that found the buffer full, since the programs were loaded */
	char name[SW_SET_NAME_LENGTH];
	char other[SW_SET_NAME_LENGTH]; /* swap, rename: the second one */
	/* Of a single entry that was added or removed: what the kernel was asked for, the netlink
	 * attributes within IPSET_ATTR_DATA. 0 bytes: not told, or more than one entry. */
	__u32 entry_length;
	unsigned char entry[SW_SET_ENTRY_LENGTH];
};
SW_ASSERT_SIZE(struct sw_set_event, 588);

#define SW_SET_EVENTS_BYTES 1048576 /* 1,700 events */

/* The programs of set_events.bpf.o: one for each operation, called so. */
#define SW_SET_PROGRAM_PREFIX "sw_set_"

#endif
