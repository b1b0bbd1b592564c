/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module keeps of a network namespace. */
#ifndef SYNWARD_NET_H
#define SYNWARD_NET_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "lib/abi/ring.h"
#include "limits.h"
#include "stats.h"

struct sw_ring;
struct sw_sets;

struct sw_net {
	/*
	 * Read by the hook, under RCU. Which ring a packet belongs to is computed
	 * from `rings` and `fanout`; a stale value finds another ring or none,
	 * never memory beyond `ring`.
	 */
	u16 rings; /* shares; 0: no ring */
	u8 fanout; /* enum sw_ring_fanout */
	u8 fail;   /* enum sw_ring_fail, for packets without a reader */
	struct sw_stats __percpu *stats;
	struct sw_limits limits;
	struct sw_ring __rcu *ring[SW_RINGS_MAX];
	struct sw_sets __rcu *sets; /* bound; of marker.c */

	atomic_long_t bytes ____cacheline_aligned; /* held by all rings */

	/* Set-up, closing and policy; never taken by the hook or under RTNL. */
	struct mutex lock ____cacheline_aligned;
	struct net *net;
	struct list_head node;
	u32 slots; /* of all rings */
	u16 open;  /* rings */
	bool hooked;
};

extern unsigned int sw_net_id;

static inline struct sw_net *sw_net(const struct net *net)
{
	return net_generic(net, sw_net_id);
}

int sw_net_init(void);
void sw_net_exit(void);

/*
 * Makes the ring the reader of its share. -EBUSY: the share has one, or the
 * rings there are disagree; -ENOBUFS: more than the namespace may have.
 * `*slot` is set under the lock; -EALREADY if it is not NULL.
 */
int sw_net_publish(struct sw_net *sn, struct sw_ring *ring, struct sw_ring **slot);

/* Ends that. The hook may still see the ring until synchronize_net(). */
void sw_net_unpublish(struct sw_net *sn, struct sw_ring *ring);

/* To be called after the last packet of an unpublished ring is gone. */
void sw_net_forget(struct sw_net *sn, struct sw_ring *ring);

/* What happens to packets without a reader. Under sw_net.lock. */
int sw_net_set_fail(struct sw_net *sn, u8 fail);

/* Sum over all namespaces, those that are gone included. May sleep. */
u64 sw_net_counter(enum sw_reason reason);

#endif
