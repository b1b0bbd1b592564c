/* SPDX-License-Identifier: GPL-2.0-only */
/* Marks new connections with what the bound sets say of them. */
#ifndef SYNWARD_MARKER_H
#define SYNWARD_MARKER_H

#include "compat.h"

struct sw_net;
struct sw_sets;

/*
 * Behind conntrack (-200), before mangle (-150): rules see the mark, and connections
 * have not been translated yet.
 */
#define SW_MARKER_PRIORITY (-190)

#ifdef SYNWARD_MARKS

/*
 * The list that new connections are looked up in from now on, in place of the one that
 * is bound; it may be empty: they get the class that they bring. NULL: they are left
 * alone. It is taken over, unless there is an error: nothing has changed then. When this
 * returns, no packet is looked up in the old list. May sleep.
 */
int sw_marker_bind(struct sw_net *sn, struct sw_sets *sets);

/* Of a namespace that goes away: stops looking up, then, an RCU grace period later, frees. */
void sw_marker_pre_exit(struct sw_net *sn);
void sw_marker_exit(struct sw_net *sn);

#else

static inline void sw_marker_pre_exit(struct sw_net *sn)
{
}

static inline void sw_marker_exit(struct sw_net *sn)
{
}

#endif
#endif
