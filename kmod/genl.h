/* SPDX-License-Identifier: GPL-2.0-only */
/* Control: the generic netlink family of lib/abi/genetlink.h. */
#ifndef SYNWARD_GENL_H
#define SYNWARD_GENL_H

#include <net/genetlink.h>

struct pid_namespace;
struct sw_ring;

extern struct genl_family sw_genl_family;

int sw_genl_init(void);
void sw_genl_exit(void);

/*
 * Adds the nest SW_NL_A_RING. The opener's pid is told as `pids` sees it; NULL, if
 * nobody in particular asks: 0. The ring must not be freed meanwhile.
 */
int sw_genl_put_ring(struct sk_buff *skb, struct sw_ring *ring, struct pid_namespace *pids);

#endif
