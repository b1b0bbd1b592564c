/* SPDX-License-Identifier: GPL-2.0-only */
/* Where packets are taken: PRE_ROUTING, before conntrack sees them. */
#ifndef SYNWARD_HOOK_H
#define SYNWARD_HOOK_H

#include <linux/netfilter.h>
#include <linux/types.h>

struct net;

/* Right behind NF_IP_PRI_RAW: a rule of the raw table, or of ours, may set the mark. */
#define SW_HOOK_PRIORITY (-299)

int sw_hook_register(struct net *net);
void sw_hook_unregister(struct net *net);

/*
 * Where a packet that we held goes on, in `entries` of PRE_ROUTING as it is now:
 * behind our hook, or behind its place if it is gone. Under RCU.
 */
unsigned int sw_hook_next(const struct nf_hook_entries *entries);

#endif
