// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netfilter_bridge.h>
#include <linux/skbuff.h>
#include <net/request_sock.h>
#include <net/sock.h>

#include "hook.h"
#include "lib/abi/metadata.h"
#include "net.h"
#include "publish.h"

/*
 * A socket that tc has made from a cookie (bpf_sk_assign_tcp_reqsk) counts as
 * referenced, but points to its listener without a reference: the listener may be
 * freed while the packet is held. There is nothing to ask about it either, a good
 * cookie is the answer.
 */
static bool from_cookie(struct sk_buff *skb)
{
	return skb_sk_is_prefetched(skb) && skb->sk->sk_state == TCP_NEW_SYN_RECV &&
	       inet_reqsk(skb->sk)->syncookie;
}

/*
 * Packets that come by here and are not ours to hold. Bridged ones: the bridge
 * goes on with them by means that nf_hook_slow() does not know. Those of a VRF's
 * second round: their okfn would free them. The rest does not happen at
 * PRE_ROUTING, and would need references that we do not take.
 */
static bool foreign(struct sk_buff *skb, const struct nf_hook_state *state)
{
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
	if (nf_bridge_info_exists(skb))
		return true;
#endif
	return from_cookie(skb) || skb->dev != state->in || netif_is_l3_master(state->in) ||
	       state->out || state->sk;
}

static struct sw_ring *find_ring(const struct sw_net *sn, struct sk_buff *skb)
{
	u32 rings = READ_ONCE(sn->rings);
	u32 share;

	if (!rings)
		return NULL;
	if (READ_ONCE(sn->fanout) == SW_RING_FANOUT_FLOW)
		share = reciprocal_scale(skb_get_hash(skb), rings);
	else
		/* bottom halves may be on: nfnetlink_queue resumes packets so */
		share = raw_smp_processor_id() % rings;
	return rcu_dereference(sn->ring[share]);
}

static unsigned int sw_hook(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct sw_net *sn;
	struct sw_ring *ring;
	u32 mark = skb->mark;

	if (likely(!(mark & SW_MARK_ESCALATE)))
		return NF_ACCEPT;
	sn = sw_net(state->net);
	if (unlikely(foreign(skb, state))) {
		sw_stats_add(sn->stats, SW_REASON_RING_FOREIGN, 1);
		return NF_ACCEPT;
	}

	/*
	 * What is decided here is decided: the packet inside a tunnel, which keeps
	 * the mark, shall not come up again.
	 */
	skb->mark = mark & ~SW_MARK_ESCALATE_MASK;
	ring = find_ring(sn, skb);
	if (likely(ring))
		return sw_publish(ring, skb, state, mark);

	sw_stats_add(sn->stats, SW_REASON_RING_NO_READER, 1);
	return READ_ONCE(sn->fail) == SW_RING_FAIL_DROP ? NF_DROP : NF_ACCEPT;
}

static const struct nf_hook_ops hooks[] = {
	{
		.hook = sw_hook,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = SW_HOOK_PRIORITY,
	},
	{
		.hook = sw_hook,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = SW_HOOK_PRIORITY,
	},
};

int sw_hook_register(struct net *net)
{
	return nf_register_net_hooks(net, hooks, ARRAY_SIZE(hooks));
}

void sw_hook_unregister(struct net *net)
{
	nf_unregister_net_hooks(net, hooks, ARRAY_SIZE(hooks));
}

unsigned int sw_hook_next(const struct nf_hook_entries *entries)
{
	struct nf_hook_ops **ops = nf_hook_entries_get_hook_ops(entries);
	unsigned int i;

	/* ours is one of the first: hooks are sorted by priority */
	for (i = 0; i < entries->num_hook_entries; i++)
		if (entries->hooks[i].hook == sw_hook)
			return i + 1;
	for (i = 0; i < entries->num_hook_entries; i++)
		if (READ_ONCE(ops[i])->priority > SW_HOOK_PRIORITY)
			break;
	return i;
}
