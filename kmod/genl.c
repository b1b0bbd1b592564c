// SPDX-License-Identifier: GPL-2.0-only
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <net/sock.h>

#include "genl.h"
#include "genl_sets.h"
#include "lib/abi/genetlink.h"
#include "marker.h"
#include "net.h"
#include "ring.h"

/* Not const: so does the policy of 6.1 point to them. */
static struct netlink_range_validation slots_range __ro_after_init = {
	.min = SW_RING_SLOTS_MIN,
	.max = SW_RINGS_MAX * SW_RING_SLOTS_MAX,
};

static struct netlink_range_validation bytes_range __ro_after_init = {
	.min = PAGE_SIZE,
	.max = LONG_MAX,
};

static const struct nla_policy caps_policy[SW_NL_POLICIES] = {
	[SW_NL_POLICY_FAIL] = NLA_POLICY_MAX(NLA_U8, SW_RING_FAILS - 1),
	[SW_NL_POLICY_SLOTS] = NLA_POLICY_FULL_RANGE(NLA_U32, &slots_range),
	[SW_NL_POLICY_BYTES] = NLA_POLICY_FULL_RANGE(NLA_U64, &bytes_range),
	[SW_NL_POLICY_DEADLINE] = NLA_POLICY_RANGE(NLA_U32, 1, SW_DEADLINE_MS_MAX),
};

/* Attributes that are not named are refused: NLA_UNSPEC is no type to the strict parser. */
static const struct nla_policy set_policy[SW_NL_A_POLICY + 1] = {
	[SW_NL_A_POLICY] = NLA_POLICY_NESTED(caps_policy),
};

static const struct nla_policy no_attributes[SW_NL_A_UNSPEC + 2] = {};

static int put_policy(struct sk_buff *skb, const struct sw_net *sn)
{
	struct nlattr *nest = nla_nest_start(skb, SW_NL_A_POLICY);
	u64 bytes = sw_limits_bytes(&sn->limits);

	if (!nest || nla_put_u8(skb, SW_NL_POLICY_FAIL, READ_ONCE(sn->fail)) ||
	    nla_put_u32(skb, SW_NL_POLICY_SLOTS, sw_limits_slots(&sn->limits)) ||
	    nla_put(skb, SW_NL_POLICY_BYTES, sizeof(bytes), &bytes) ||
	    nla_put_u32(skb, SW_NL_POLICY_DEADLINE, sw_limits_deadline(&sn->limits)))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

int sw_genl_put_ring(struct sk_buff *skb, struct sw_ring *ring, struct pid_namespace *pids)
{
	const struct sw_ring_setup *setup = &ring->setup;
	struct nlattr *nest = nla_nest_start(skb, SW_NL_A_RING);
	u64 held, bytes, head, lost;

	spin_lock_bh(&ring->lock);
	held = ring->slots.head - ring->slots.tail;
	bytes = ring->slots.bytes;
	head = ring->slots.head;
	lost = ring->lost;
	spin_unlock_bh(&ring->lock);

	if (!nest || nla_put_u16(skb, SW_NL_RING_INDEX, setup->ring) ||
	    nla_put_u16(skb, SW_NL_RING_RINGS, setup->rings) ||
	    nla_put_u8(skb, SW_NL_RING_MODE, setup->mode) ||
	    nla_put_u8(skb, SW_NL_RING_FANOUT, setup->fanout) ||
	    nla_put_u8(skb, SW_NL_RING_FAIL, setup->fail) ||
	    nla_put_u32(skb, SW_NL_RING_SLOTS, setup->slots) ||
	    nla_put_u32(skb, SW_NL_RING_HELD, held) ||
	    nla_put(skb, SW_NL_RING_BYTES, sizeof(bytes), &bytes) ||
	    nla_put(skb, SW_NL_RING_PUBLISHED, sizeof(head), &head) ||
	    nla_put(skb, SW_NL_RING_LOST, sizeof(lost), &lost) ||
	    nla_put_u32(skb, SW_NL_RING_PID, pids ? pid_nr_ns(ring->opener, pids) : 0))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_counters(struct sk_buff *skb, const struct sw_net *sn)
{
	struct nlattr *nest = nla_nest_start(skb, SW_NL_A_COUNTERS);
	unsigned int i;
	u64 value;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < SW_REASON_COUNT; i++) {
		value = sw_stats_shown(i) ? sw_stats_sum(sn->stats, i) : 0;
		if (value && nla_put(skb, i + 1, sizeof(value), &value))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static int put_module(struct sk_buff *skb, const struct sw_net *sn)
{
	if (nla_put_u32(skb, SW_NL_A_ABI, SW_RING_ABI) ||
	    nla_put_string(skb, SW_NL_A_VERSION, SYNWARD_VERSION))
		return -EMSGSIZE;
	return put_policy(skb, sn);
}

/* A reply of one message, filled by `put`. */
static int reply(struct genl_info *info, int (*put)(struct sk_buff *, const struct sw_net *))
{
	struct sk_buff *skb = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *header;
	int err;

	if (!skb)
		return -ENOMEM;
	header = genlmsg_put_reply(skb, info, &sw_genl_family, 0, info->genlhdr->cmd);
	err = header ? put(skb, sw_net(genl_info_net(info))) : -EMSGSIZE;
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

static int get(struct sk_buff *skb, struct genl_info *info)
{
	return reply(info, put_module);
}

static int get_counters(struct sk_buff *skb, struct genl_info *info)
{
	return reply(info, put_counters);
}

/*
 * Lower caps than what is in use refuse only what comes later: rings and packets
 * that are there stay.
 */
static int set(struct sk_buff *skb, struct genl_info *info)
{
	struct sw_net *sn = sw_net(genl_info_net(info));
	struct nlattr *caps[SW_NL_POLICIES];
	int err;

	if (GENL_REQ_ATTR_CHECK(info, SW_NL_A_POLICY))
		return -EINVAL;
	err = nla_parse_nested(caps, SW_NL_POLICIES - 1, info->attrs[SW_NL_A_POLICY], caps_policy,
			       info->extack);
	if (err)
		return err;

	mutex_lock(&sn->lock);
	/* the only one that can fail */
	if (caps[SW_NL_POLICY_FAIL])
		err = sw_net_set_fail(sn, nla_get_u8(caps[SW_NL_POLICY_FAIL]));
	if (!err) {
		if (caps[SW_NL_POLICY_SLOTS])
			WRITE_ONCE(sn->limits.slots, nla_get_u32(caps[SW_NL_POLICY_SLOTS]));
		if (caps[SW_NL_POLICY_BYTES])
			WRITE_ONCE(sn->limits.bytes, nla_get_u64(caps[SW_NL_POLICY_BYTES]));
		if (caps[SW_NL_POLICY_DEADLINE])
			WRITE_ONCE(sn->limits.deadline_ms,
				   nla_get_u32(caps[SW_NL_POLICY_DEADLINE]));
	}
	mutex_unlock(&sn->lock);
	return err;
}

/* cb->args[0]: the next share to look at. */
static int dump_rings(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct sw_net *sn = sw_net(sock_net(skb->sk));
	struct sw_ring *ring;
	void *header;

	rcu_read_lock();
	for (; cb->args[0] < SW_RINGS_MAX; cb->args[0]++) {
		ring = rcu_dereference(sn->ring[cb->args[0]]);
		if (!ring)
			continue;
		header = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				     &sw_genl_family, NLM_F_MULTI, SW_NL_GET_RINGS);
		if (!header)
			break;
		if (sw_genl_put_ring(skb, ring, task_active_pid_ns(current))) {
			genlmsg_cancel(skb, header);
			break;
		}
		genlmsg_end(skb, header);
	}
	rcu_read_unlock();
	return skb->len;
}

static const struct genl_ops ops[] = {
	{
		.cmd = SW_NL_GET,
		.doit = get,
		.policy = no_attributes,
		.maxattr = ARRAY_SIZE(no_attributes) - 1,
	},
	{
		.cmd = SW_NL_SET,
		.doit = set,
		.flags = GENL_UNS_ADMIN_PERM,
		.policy = set_policy,
		.maxattr = ARRAY_SIZE(set_policy) - 1,
	},
	{
		.cmd = SW_NL_GET_RINGS,
		.dumpit = dump_rings,
		.policy = no_attributes,
		.maxattr = ARRAY_SIZE(no_attributes) - 1,
	},
	{
		.cmd = SW_NL_GET_COUNTERS,
		.doit = get_counters,
		.policy = no_attributes,
		.maxattr = ARRAY_SIZE(no_attributes) - 1,
	},
#ifdef SYNWARD_MARKS
	{
		.cmd = SW_NL_BIND,
		.doit = sw_genl_bind,
		.flags = GENL_UNS_ADMIN_PERM,
		.policy = sw_genl_bind_policy,
		.maxattr = ARRAY_SIZE(sw_genl_bind_policy) - 1,
	},
	{
		.cmd = SW_NL_GET_BOUND,
		.doit = sw_genl_get_bound,
		.policy = no_attributes,
		.maxattr = ARRAY_SIZE(no_attributes) - 1,
	},
#endif
};

static const struct genl_multicast_group groups[] = {
	{ .name = SW_NL_GROUP },
};

struct genl_family sw_genl_family __ro_after_init = {
	.name = SW_NL_FAMILY,
	.version = SW_NL_VERSION,
	.module = THIS_MODULE,
	.netnsok = true,
	.parallel_ops = true,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
};

int __init sw_genl_init(void)
{
	return genl_register_family(&sw_genl_family);
}

void sw_genl_exit(void)
{
	genl_unregister_family(&sw_genl_family);
}
