/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * The verdict ring: packets up through memory that the reader may only read,
 * verdicts down by write().
 *
 *   fd = open("/dev/synward", O_RDWR)       one descriptor is one ring
 *   ioctl(fd, SW_RING_SETUP, &setup)        once; says how much to map
 *   mmap(0, setup.map_bytes, PROT_READ, MAP_SHARED, fd, 0)
 *   for (;;) {
 *       poll(fd)                            POLLIN: `watermark` frames that no verdict named
 *                                           yet, or one that is older than `timer_us`
 *       read header->head (acquire), then each frame below it, in order
 *       write(fd, verdicts, n * sizeof(struct sw_verdict))
 *   }
 *
 * The ring belongs to the network namespace in which it was opened and takes
 * packets whose mark has SW_MARK_ESCALATE (lib/abi/metadata.h) at PRE_ROUTING,
 * IPv4 and IPv6. `ring` of `rings` names its share: packets are spread over the
 * `rings` shares of a namespace by CPU or by flow (SW_RING_FANOUT_*); all rings
 * of a namespace must agree on `rings` and `fanout`. Packets of a share without
 * a reader get the namespace's fail policy.
 *
 * Modes. SW_RING_HOLD: the packet waits for its verdict and then goes on at the
 * hook behind ours. SW_RING_COPY: the packet is dropped at once (a SYN comes
 * again), its frame stays until a verdict of SW_VERDICT_SEEN names it.
 *
 * The map is one page with struct sw_ring_header, then `slots` frames of
 * `frame_bytes`. The packet with sequence number n lies in frame n % slots; no
 * frame is written again before its packet has been decided, seen or has met its
 * deadline. Since a deadline may pass while one reads, a reader copies what it
 * needs and then looks whether `sequence` still says the same
 * (lib/abi/ring_frame.h does).
 *
 * Errors. open: EPERM without CAP_NET_ADMIN in the namespace. SETUP: EINVAL for
 * what is out of range or unknown (including reserved fields that are not 0),
 * EPROTO for another `abi`, EBUSY if the share has a reader or the other rings
 * disagree, EALREADY the second time, ENOBUFS beyond the namespace's caps,
 * ENOMEM. mmap: EINVAL for another size, offset or MAP_PRIVATE, EACCES for
 * PROT_WRITE or PROT_EXEC, ENXIO before SETUP. write: EINVAL if the size is no
 * multiple of sizeof(struct sw_verdict), EFAULT, ENXIO before SETUP; otherwise
 * the whole size: what a verdict could not do is counted, not reported.
 */
#ifndef SYNWARD_ABI_RING_H
#define SYNWARD_ABI_RING_H

#include <linux/ioctl.h>

#include "types.h"

#define SW_RING_ABI 1
#define SW_RING_DEVICE "/dev/synward"

/* Bounds of struct sw_ring_setup. */
#define SW_RINGS_MAX 64
#define SW_RING_SLOTS_MIN 2 /* slots are a power of two */
#define SW_RING_SLOTS_MAX 65536
#define SW_FRAME_BYTES_MIN 128 /* so are the bytes of a frame */
#define SW_FRAME_BYTES_MAX 4096
#define SW_DEADLINE_MS_MAX 10000

enum sw_ring_mode { SW_RING_HOLD, SW_RING_COPY, SW_RING_MODES };
enum sw_ring_fanout { SW_RING_FANOUT_CPU, SW_RING_FANOUT_FLOW, SW_RING_FANOUTS };
enum sw_ring_fail { SW_RING_FAIL_ACCEPT, SW_RING_FAIL_DROP, SW_RING_FAILS };

/* In: everything but map_bytes and frames_offset, which are the answer. */
struct sw_ring_setup {
	__u32 abi;	    /* SW_RING_ABI */
	__u16 ring;	    /* 0 .. rings - 1 */
	__u16 rings;	    /* 1 .. SW_RINGS_MAX */
	__u8 mode;	    /* enum sw_ring_mode */
	__u8 fanout;	    /* enum sw_ring_fanout */
	__u8 fail;	    /* enum sw_ring_fail: full, deadline, reader gone */
	__u8 reserved;	    /* 0 */
	__u32 slots;
	__u32 frame_bytes;  /* struct sw_frame and the first bytes of the packet */
	__u32 watermark;    /* wake the reader at this many new frames; 1: at once */
	__u32 timer_us;	    /* or this long after the first of them; 0 with watermark 1 only */
	__u32 deadline_ms;  /* a packet is held at most this long; 1 .. SW_DEADLINE_MS_MAX */
	__u32 bytes;	    /* of packets held at once; 0: the namespace's cap */
	__u32 map_bytes;
	__u32 frames_offset;
};
SW_ASSERT_SIZE(struct sw_ring_setup, 44);

#define SW_RING_SETUP _IOWR('Y', 1, struct sw_ring_setup)

/* At offset 0 of the map; written by the kernel only. */
struct sw_ring_header {
	__u32 abi;
	__u32 slots;
	__u32 frame_bytes;
	__u32 frames_offset;
	__u64 reserved[6];
	__u64 head; /* sequence number of the next frame; store-release */
	__u64 tail; /* of the oldest frame not decided; a hint */
	__u64 lost; /* packets that found no slot */
};
SW_ASSERT_SIZE(struct sw_ring_header, 88);

enum sw_checksum {
	SW_CHECKSUM_NONE,     /* not looked at yet */
	SW_CHECKSUM_GOOD,     /* the device or a tunnel checked it */
	SW_CHECKSUM_COMPLETE, /* the device summed it; the stack will compare */
	SW_CHECKSUM_PARTIAL,  /* made on this machine, the sum is not written yet */
};

/* What precedes the packet's bytes, which begin with its IP header. */
struct sw_frame {
	__u64 sequence;	   /* n + 1 once the frame is whole; 0 while it is written */
	__u64 time;	   /* ns, CLOCK_MONOTONIC */
	__u32 slot;	   /* what a verdict names */
	__u32 generation;  /* of the slot */
	__u32 mark;	   /* of the packet, as it came */
	__u32 ifindex;	   /* that it came in by, in the namespace of the ring */
	__u32 length;	   /* of the whole packet, bytes, from the IP header */
	__u16 captured;	   /* of them that follow */
	__u16 transport;   /* offset of the transport header from the IP header; 0: unknown */
	__u16 gso_size;	   /* 0: a single segment */
	__u16 gso_segments;
	__u16 vlan;	   /* tag control information, host byte order; 0: none */
	__u8 family;	   /* enum sw_family */
	__u8 protocol;	   /* IPPROTO_*, of the transport header */
	__u8 reason;	   /* enum sw_reason: why it was escalated */
	__u8 checksum;	   /* enum sw_checksum */
	__u16 queue;	   /* receive queue + 1; 0: unknown */
	__u32 hash;	   /* of the flow, as the device or the kernel computed it */
	__u64 reserved;
};
SW_ASSERT_SIZE(struct sw_frame, 64);

enum sw_verdict_kind {
	SW_VERDICT_ACCEPT, /* on to the next hook, with the mark changed */
	SW_VERDICT_DROP,
	SW_VERDICT_SEEN,   /* SW_RING_COPY: this frame and all before it are read */
	SW_VERDICT_KINDS
};

/* One element of a write(). */
struct sw_verdict {
	__u32 slot;
	__u32 generation;
	__u32 verdict; /* enum sw_verdict_kind */
	__u32 mark;    /* new mark = (old & ~mask) | (mark & mask) */
	__u32 mask;
};
SW_ASSERT_SIZE(struct sw_verdict, 20);

#endif
