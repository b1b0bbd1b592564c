// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/x_tables.h>
#include <linux/slab.h>

#include "lib/abi/metadata.h"
#include "sets.h"

struct sw_sets *sw_sets_alloc(unsigned int count)
{
	struct sw_sets *sets = kzalloc(struct_size(sets, set, count), GFP_KERNEL);

	if (sets)
		sets->count = count;
	return sets;
}

/* The marks of a list are those of its members, whose own extensions are looked at. */
static bool is_list(const struct ip_set *set)
{
	return set->type->features & IPSET_TYPE_NAME;
}

int sw_set_get(struct net *net, struct sw_set *set, const struct nlattr *name, const char **why)
{
	struct ip_set *found;
	int err = 0;

	/*
	 * ip_set_get_byname() finds the set and then references it: were it swapped in
	 * between, we would hold the one and put the other, which is a BUG(). What swaps,
	 * renames and destroys holds this mutex; it also keeps `found` what it is.
	 */
	nfnl_lock(NFNL_SUBSYS_IPSET);
	set->index = ip_set_get_byname(net, name, &found);
	if (set->index == IPSET_INVALID_ID) {
		*why = "no ipset has this name";
		err = -ENOENT;
	} else if (!(found->extensions & IPSET_EXT_SKBINFO) && !is_list(found)) {
		*why = "entries of this ipset cannot carry marks: create it with skbinfo";
		err = -EINVAL;
	} else if (found->type->dimension > set->dim) {
		/* it would never match, and nobody would know why */
		*why = "this ipset is looked up by more dimensions than are given";
		err = -EINVAL;
	} else {
		strscpy(set->name, found->name, sizeof(set->name));
	}
	nfnl_unlock(NFNL_SUBSYS_IPSET);
	if (err && set->index != IPSET_INVALID_ID)
		ip_set_put_byindex(net, set->index);
	return err;
}

void sw_sets_free(struct net *net, struct sw_sets *sets, unsigned int held)
{
	while (held--)
		ip_set_put_byindex(net, sets->set[held].index);
	kfree(sets);
}

int sw_sets_find(const struct sw_sets *sets, const struct sk_buff *skb,
		 const struct nf_hook_state *state)
{
	const struct xt_action_param par = { .state = state };
	unsigned int i;

	for (i = 0; i < sets->count; i++) {
		const struct sw_set *set = &sets->set[i];
		struct ip_set_adt_opt opt = {
			.family = state->pf,
			.dim = set->dim,
			/* the kernel's bit 0 inverts the match */
			.flags = set->flags << 1,
			.ext.timeout = UINT_MAX,
		};

		if (ip_set_test(set->index, skb, &par, &opt) <= 0)
			continue;
		/* as all entries do if a set without skbinfo was swapped in */
		if (!(opt.ext.skbinfo.skbmarkmask & SW_MARK_CLASS_MASK))
			continue;
		return opt.ext.skbinfo.skbmark & opt.ext.skbinfo.skbmarkmask & SW_MARK_CLASS_MASK;
	}
	return -ENOENT;
}
