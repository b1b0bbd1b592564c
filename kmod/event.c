// SPDX-License-Identifier: GPL-2.0-only
#include "event.h"
#include "genl.h"
#include "ring.h"

void sw_event(struct sw_ring *ring, enum sw_nl_event event, gfp_t flags)
{
	struct net *net = ring->sn->net;
	struct sk_buff *skb;
	void *header;

	if (!genl_has_listeners(&sw_genl_family, net, 0))
		return;
	skb = genlmsg_new(NLMSG_DEFAULT_SIZE, flags);
	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &sw_genl_family, 0, SW_NL_EVENT);
	if (!header || nla_put_u8(skb, SW_NL_A_EVENT, event) || sw_genl_put_ring(skb, ring, NULL)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast_netns(&sw_genl_family, net, skb, 0, 0, flags);
}
