/* SPDX-License-Identifier: GPL-2.0-only */
/* Ways out of a ring without a verdict: deadline, reader gone, device gone. */
#ifndef SYNWARD_FLUSH_H
#define SYNWARD_FLUSH_H

#include <linux/types.h>

struct net_device;
struct sw_ring;
struct work_struct;

int sw_flush_init(void);
void sw_flush_exit(void);

/* The ring is no longer empty: somebody must look at its deadlines. Under the lock. */
void sw_flush_watch(struct sw_ring *ring);

/* The work of sw_ring.deadline: packets past their deadline take the fail policy. */
void sw_flush_deadline(struct work_struct *work);

/* All packets of a dead ring take the fail policy. Sleeps. */
void sw_flush_all(struct sw_ring *ring);

/* Drops the packets that came in by the device, which is about to go. Under RCU. */
void sw_flush_device(struct sw_ring *ring, const struct net_device *device);

#endif
