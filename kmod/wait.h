/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a sleeping reader is woken: at `watermark` frames that no verdict has
 * named, or `timer_us` after the first of them came. poll() says the same, so
 * that a reader that polls gets batches, too.
 */
#ifndef SYNWARD_WAIT_H
#define SYNWARD_WAIT_H

#include <linux/poll.h>

struct sw_ring;

void sw_wait_init(struct sw_ring *ring);

/*
 * After a frame was published: starts the timer if it is the first one. True: wake
 * the reader, after unlocking. Under the lock.
 */
bool sw_wait_published(struct sw_ring *ring, u64 now);

/* After verdicts: what is left may be waited for. Under the lock. */
void sw_wait_seen(struct sw_ring *ring);

void sw_wait_wake(struct sw_ring *ring);

__poll_t sw_wait_poll(struct sw_ring *ring, struct file *file, poll_table *table);

#endif
