/* SPDX-License-Identifier: GPL-2.0-only */
/* The way out of a ring, whatever the cause. */
#ifndef SYNWARD_RESUME_H
#define SYNWARD_RESUME_H

#include "ring.h"

/* A packet that was taken out of its slot, and what becomes of it. */
struct sw_decision {
	struct sw_held held;
	u32 mark; /* accept: new mark = (old & ~mask) | (mark & mask) */
	u32 mask;
	bool accept;
};

/*
 * Sends the packets on or frees them, in this order, and drops their references.
 * Any context in which bottom halves may be switched off; no lock held.
 */
void sw_resume(struct net *net, const struct sw_decision *decisions, unsigned int count);

#endif
