// SPDX-License-Identifier: GPL-2.0-only
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "frame.h"
#include "lib/abi/metadata.h"

/* Written as they are. */
static_assert((int)SW_CHECKSUM_NONE == CHECKSUM_NONE);
static_assert((int)SW_CHECKSUM_GOOD == CHECKSUM_UNNECESSARY);
static_assert((int)SW_CHECKSUM_COMPLETE == CHECKSUM_COMPLETE);
static_assert((int)SW_CHECKSUM_PARTIAL == CHECKSUM_PARTIAL);

static void fill_ipv4(struct sw_frame *frame, const struct sk_buff *skb)
{
	const struct iphdr *ip = ip_hdr(skb);

	frame->family = SW_IPV4;
	frame->protocol = ip->protocol;
	/* a later fragment has no transport header */
	frame->transport = ip->frag_off & htons(IP_OFFSET) ? 0 : ip->ihl * 4;
}

static void fill_ipv6(struct sw_frame *frame, const struct sk_buff *skb)
{
	u8 next = ipv6_hdr(skb)->nexthdr;
	int offset = sizeof(struct ipv6hdr);
	__be16 fragment = 0;

	if (unlikely(ipv6_ext_hdr(next)))
		offset = ipv6_skip_exthdr(skb, offset, &next, &fragment);
	if (unlikely(fragment & htons(IP6_OFFSET))) {
		/* it stopped at the fragment's header: no transport header follows */
		struct frag_hdr buffer;
		const struct frag_hdr *header =
			skb_header_pointer(skb, offset, sizeof(buffer), &buffer);

		if (header)
			next = header->nexthdr;
		offset = 0;
	}
	frame->family = SW_IPV6;
	frame->protocol = next;
	frame->transport = offset > 0 && offset <= U16_MAX ? offset : 0;
}

void sw_frame_fill(const struct sw_ring *ring, struct sw_frame *frame, const struct sk_buff *skb,
		   const struct nf_hook_state *state, u32 mark)
{
	u32 captured = min_t(u32, skb->len, ring->frame_bytes - sizeof(*frame));

	frame->mark = mark;
	frame->ifindex = state->in->ifindex;
	frame->length = skb->len;
	frame->gso_size = skb_shinfo(skb)->gso_size;
	frame->gso_segments = skb_shinfo(skb)->gso_segs;
	frame->vlan = skb_vlan_tag_present(skb) ? skb_vlan_tag_get(skb) : 0;
	frame->reason = (mark & SW_MARK_ESCALATE_MASK & ~SW_MARK_ESCALATE) >> SW_MARK_REASON_SHIFT;
	frame->checksum = skb->ip_summed;
	frame->queue = skb_rx_queue_recorded(skb) ? skb_get_rx_queue(skb) + 1 : 0;
	frame->hash = skb->hash;
	if (state->pf == NFPROTO_IPV4)
		fill_ipv4(frame, skb);
	else
		fill_ipv6(frame, skb);

	if (likely(captured <= skb_headlen(skb)))
		memcpy(frame + 1, skb->data, captured);
	else if (skb_copy_bits(skb, 0, frame + 1, captured))
		captured = 0;
	frame->captured = captured;
}
