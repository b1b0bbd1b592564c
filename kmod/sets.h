/* SPDX-License-Identifier: GPL-2.0-only */
/* A list of ipsets, referenced as a rule of iptables references them. */
#ifndef SYNWARD_SETS_H
#define SYNWARD_SETS_H

#include <linux/netfilter/ipset/ip_set.h>

#include "compat.h"
#include "lib/abi/genetlink.h"

struct nf_hook_state;

struct sw_set {
	ip_set_id_t index; /* swap follows the name: the set behind it may change, not go */
	u8 dim;
	u8 flags; /* as in SW_NL_SET_FLAGS */
	/* a set that is referenced cannot be renamed */
	char name[IPSET_MAXNAMELEN];
};

/* Immutable once it is published. */
struct sw_sets {
	unsigned int count; /* at most SW_NL_SETS_MAX */
	struct sw_set set[] __counted_by(count);
};

/* Of `count` sets without a reference; NULL if there is no memory. */
struct sw_sets *sw_sets_alloc(unsigned int count);

/*
 * References the set whose name is the attribute `name`. Nothing is changed on an
 * error; `*why` says then what is wrong, in words. May sleep.
 */
int sw_set_get(struct net *net, struct sw_set *set, const struct nlattr *name, const char **why);

/* Gives back the references of the first `held` sets, and frees the list. NULL is none. */
void sw_sets_free(struct net *net, struct sw_sets *sets, unsigned int held);

/*
 * The class byte of the first entry that the packet has, in the order of the sets. An
 * entry whose mask has no bit of that byte says nothing: the next set is asked.
 * Negative: nothing is said. Under RCU, and with none of our bits in skb->mark:
 * hash:ip,mark compares them.
 */
int sw_sets_find(const struct sw_sets *sets, const struct sk_buff *skb,
		 const struct nf_hook_state *state);

#endif
