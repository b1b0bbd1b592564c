/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * The reader's side of the ring's memory. `map` is what mmap() gave, of
 * `map_bytes`; it is checked against its own header once, by
 * sw_ring_check(), and never believed again.
 */
#ifndef SYNWARD_ABI_RING_FRAME_H
#define SYNWARD_ABI_RING_FRAME_H

#include "ring.h"

struct sw_ring_view {
	const unsigned char *map;
	__u32 slots;
	__u32 frame_bytes;
	__u32 frames_offset;
};

/* 0, or -1: no ring of this ABI, or one that does not fit into `map_bytes`. */
static inline int sw_ring_check(struct sw_ring_view *view, const void *map, __u64 map_bytes)
{
	const struct sw_ring_header *header = (const struct sw_ring_header *)map;
	__u64 slots, frame_bytes, offset;

	if (map_bytes < sizeof(*header) || header->abi != SW_RING_ABI)
		return -1;
	slots = header->slots;
	frame_bytes = header->frame_bytes;
	offset = header->frames_offset;
	if (slots < SW_RING_SLOTS_MIN || slots > SW_RING_SLOTS_MAX || slots & (slots - 1))
		return -1;
	if (frame_bytes < SW_FRAME_BYTES_MIN || frame_bytes > SW_FRAME_BYTES_MAX ||
	    frame_bytes & (frame_bytes - 1))
		return -1;
	if (offset < sizeof(*header) || offset % 64 || offset > map_bytes ||
	    slots * frame_bytes > map_bytes - offset)
		return -1;
	view->map = (const unsigned char *)map;
	view->slots = (__u32)slots;
	view->frame_bytes = (__u32)frame_bytes;
	view->frames_offset = (__u32)offset;
	return 0;
}

static inline __u64 sw_ring_head(const struct sw_ring_view *view)
{
	return __atomic_load_n(&((const struct sw_ring_header *)view->map)->head, __ATOMIC_ACQUIRE);
}

static inline const struct sw_frame *sw_ring_frame(const struct sw_ring_view *view, __u64 sequence)
{
	__u64 index = sequence & (view->slots - 1);

	return (const struct sw_frame *)(view->map + view->frames_offset + index * view->frame_bytes);
}

/*
 * Whether the frame of `sequence` is whole. Ask before reading it and, since the
 * kernel may take the frame again once a deadline has passed, after it; what was
 * read between two answers of "yes" is one packet.
 */
static inline int sw_ring_whole(const struct sw_frame *frame, __u64 sequence)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&frame->sequence, __ATOMIC_ACQUIRE) == sequence + 1;
}

/* Bytes of the packet that follow the frame's header, whatever the header claims. */
static inline __u32 sw_ring_captured(const struct sw_ring_view *view, const struct sw_frame *frame)
{
	__u32 room = view->frame_bytes - (__u32)sizeof(*frame);
	__u32 captured = frame->captured;

	return captured < room ? captured : room;
}

#endif
