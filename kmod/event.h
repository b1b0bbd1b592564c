/* SPDX-License-Identifier: GPL-2.0-only */
/* What listeners of the generic netlink group are told. */
#ifndef SYNWARD_EVENT_H
#define SYNWARD_EVENT_H

#include <linux/types.h>

#include "lib/abi/genetlink.h"

struct sw_ring;

/*
 * To the listeners in the ring's namespace, if there are any; if there is no
 * memory, they miss it. No lock held.
 */
void sw_event(struct sw_ring *ring, enum sw_nl_event event, gfp_t flags);

#endif
