// SPDX-License-Identifier: GPL-2.0-only
#include "genl.h"
#include "genl_sets.h"
#include "marker.h"
#include "net.h"
#include "sets.h"

/* SW_NL_SET_INDEX is only in answers: what is not named is refused. */
static const struct nla_policy set_policy[SW_NL_SET_FLAGS + 1] = {
	[SW_NL_SET_NAME] = { .type = NLA_NUL_STRING, .len = IPSET_MAXNAMELEN - 1 },
	[SW_NL_SET_DIM] = NLA_POLICY_RANGE(NLA_U8, IPSET_DIM_ONE, IPSET_DIM_THREE),
	[SW_NL_SET_FLAGS] = NLA_POLICY_MAX(NLA_U8, (1 << IPSET_DIM_THREE) - 1),
};

const struct nla_policy sw_genl_bind_policy[SW_NL_A_SETS + 1] = {
	[SW_NL_A_SETS] = { .type = NLA_NESTED },
};

static int refuse(struct netlink_ext_ack *extack, const struct nlattr *attr, int err,
		  const char *why)
{
	NL_SET_BAD_ATTR(extack, attr);
	if (extack)
		extack->_msg = why;
	return err;
}

/* Adds no reference on an error. */
static int read_set(struct net *net, const struct nlattr *nest, struct sw_set *set,
		    struct netlink_ext_ack *extack)
{
	struct nlattr *parts[SW_NL_SET_FLAGS + 1];
	const char *why;
	int err = nla_parse_nested(parts, SW_NL_SET_FLAGS, nest, set_policy, extack);

	if (err)
		return err;
	if (!parts[SW_NL_SET_NAME] || !parts[SW_NL_SET_DIM] || !parts[SW_NL_SET_FLAGS])
		return refuse(extack, nest, -EINVAL,
			      "a set needs its name, its dimension and its flags");
	set->dim = nla_get_u8(parts[SW_NL_SET_DIM]);
	set->flags = nla_get_u8(parts[SW_NL_SET_FLAGS]);
	if (set->flags >> set->dim)
		return refuse(extack, parts[SW_NL_SET_FLAGS], -EINVAL,
			      "flags of a dimension that is not looked up");
	err = sw_set_get(net, set, parts[SW_NL_SET_NAME], &why);
	if (err)
		refuse(extack, parts[SW_NL_SET_NAME], err, why);
	return err;
}

/* How many sets the nest names; negative: it has something else in it, or too much. */
static int count_sets(const struct nlattr *nest, struct netlink_ext_ack *extack)
{
	const struct nlattr *attr;
	int rest, count = 0;

	nla_for_each_nested(attr, nest, rest) {
		if (nla_type(attr) != SW_NL_A_SET)
			return refuse(extack, attr, -EINVAL, "not a set");
		if (++count > SW_NL_SETS_MAX)
			return refuse(extack, attr, -EINVAL, "more sets than can be bound");
	}
	if (rest)
		return refuse(extack, nest, -EINVAL, "bytes behind the last set");
	return count;
}

int sw_genl_bind(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *nest = info->attrs[SW_NL_A_SETS];
	struct net *net = genl_info_net(info);
	struct sw_sets *sets = NULL;
	const struct nlattr *attr;
	unsigned int held = 0;
	int rest, count, err;

	if (!nest)
		return sw_marker_bind(sw_net(net), NULL);
	count = count_sets(nest, info->extack);
	if (count < 0)
		return count;
	sets = sw_sets_alloc(count);
	if (!sets)
		return -ENOMEM;
	nla_for_each_nested(attr, nest, rest) {
		err = read_set(net, attr, &sets->set[held], info->extack);
		if (err)
			goto err_sets;
		held++;
	}
	err = sw_marker_bind(sw_net(net), sets);
	if (!err)
		return 0;
err_sets:
	sw_sets_free(net, sets, held);
	return err;
}

static int put_set(struct sk_buff *skb, const struct sw_set *set)
{
	struct nlattr *nest = nla_nest_start(skb, SW_NL_A_SET);

	if (!nest || nla_put_string(skb, SW_NL_SET_NAME, set->name) ||
	    nla_put_u8(skb, SW_NL_SET_DIM, set->dim) ||
	    nla_put_u8(skb, SW_NL_SET_FLAGS, set->flags) ||
	    nla_put_u16(skb, SW_NL_SET_INDEX, set->index))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* Under sw_net.lock. */
static int put_sets(struct sk_buff *skb, const struct sw_sets *sets)
{
	struct nlattr *nest = nla_nest_start(skb, SW_NL_A_SETS);
	unsigned int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < sets->count; i++)
		if (put_set(skb, &sets->set[i]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

int sw_genl_get_bound(struct sk_buff *skb, struct genl_info *info)
{
	const size_t set = nla_total_size(nla_total_size(IPSET_MAXNAMELEN) + 2 * nla_total_size(1) +
					  nla_total_size(2));
	struct sw_net *sn = sw_net(genl_info_net(info));
	const struct sw_sets *sets;
	struct sk_buff *answer;
	void *header;
	int err;

	/* as much as the longest list needs: it may change until it is looked at */
	answer = genlmsg_new(nla_total_size(SW_NL_SETS_MAX * set), GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	header = genlmsg_put_reply(answer, info, &sw_genl_family, 0, info->genlhdr->cmd);
	err = -EMSGSIZE;
	if (header) {
		mutex_lock(&sn->lock);
		sets = rcu_dereference_protected(sn->sets, lockdep_is_held(&sn->lock));
		err = sets ? put_sets(answer, sets) : 0;
		mutex_unlock(&sn->lock);
	}
	if (err) {
		nlmsg_free(answer);
		return err;
	}
	genlmsg_end(answer, header);
	return genlmsg_reply(answer, info);
}
