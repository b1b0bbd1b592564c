// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>

#include "hook.h"
#include "resume.h"

/* The hooks behind ours, looked up once for a batch: an index that was kept goes stale. */
struct next {
	const struct nf_hook_entries *entries;
	unsigned int index;
	bool known;
};

static const struct next *find_next(struct net *net, struct next *next, u8 pf)
{
	next = &next[pf == NFPROTO_IPV6];
	if (next->known)
		return next;
	if (pf == NFPROTO_IPV6)
		next->entries = rcu_dereference(net->nf.hooks_ipv6[NF_INET_PRE_ROUTING]);
	else
		next->entries = rcu_dereference(net->nf.hooks_ipv4[NF_INET_PRE_ROUTING]);
	if (next->entries)
		next->index = sw_hook_next(next->entries);
	next->known = true;
	return next;
}

/*
 * The later hooks (defragmentation aside: conntrack, NAT, rules), then the rest of
 * the stack, as if the packet had never been away. okfn gives the packet a route
 * without a reference: RCU and bottom halves stay as they are until it is done.
 */
static void accept(struct net *net, const struct sw_held *held, const struct next *next)
{
	struct nf_hook_state state;

	nf_hook_state_init(&state, NF_INET_PRE_ROUTING, held->pf, held->in, NULL, NULL, net,
			   held->okfn);
	if (!next->entries || nf_hook_slow(held->skb, &state, next->entries, next->index) == 1)
		held->okfn(net, NULL, held->skb);
}

void sw_resume(struct net *net, const struct sw_decision *decisions, unsigned int count)
{
	struct next next[2] = {};
	struct sk_buff *drops = NULL;
	unsigned int i;

	if (!count)
		return;
	rcu_read_lock();
	local_bh_disable();
	for (i = 0; i < count; i++) {
		const struct sw_decision *decision = &decisions[i];
		struct sk_buff *skb = decision->held.skb;

		if (decision->accept) {
			skb->mark =
				(skb->mark & ~decision->mask) | (decision->mark & decision->mask);
			accept(net, &decision->held, find_next(net, next, decision->held.pf));
		} else {
			skb->next = drops;
			drops = skb;
		}
	}
	if (drops)
		kfree_skb_list_reason(drops, SKB_DROP_REASON_NETFILTER_DROP);
	local_bh_enable();
	rcu_read_unlock();
	/* not before the packets are done with it */
	for (i = 0; i < count; i++)
		dev_put(decisions[i].held.in);
}
