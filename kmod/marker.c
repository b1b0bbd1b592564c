// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <net/netfilter/nf_conntrack.h>

#include "lib/abi/metadata.h"
#include "marker.h"
#include "net.h"
#include "sets.h"

/*
 * Only the packet that makes a connection: nobody else sees its entry before it is
 * confirmed, and what an administrator or the daemon writes into it later stays.
 *
 * Afterwards the class byte of the packet is that of the connection, as the rules do
 * it that mark where the module is not loaded (lib/classify/mangle_rules.h).
 */
static unsigned int sw_mark(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct sw_sets *sets;
	enum ip_conntrack_info info;
	struct nf_conn *ct = nf_ct_get(skb, &info);
	u32 brought, mark;
	int class;

	/* not tracked, or a template of the raw table, which many packets share */
	if (!ct || likely(nf_ct_is_confirmed(ct)) || unlikely(nf_ct_is_template(ct)))
		return NF_ACCEPT;
	sets = rcu_dereference(sw_net(state->net)->sets);
	if (unlikely(!sets))
		return NF_ACCEPT;

	brought = skb->mark & SW_MARK_CLASS_MASK;
	skb->mark &= ~SW_MARK_CLASS_MASK;
	mark = READ_ONCE(ct->mark);
	if (unlikely(ct->master)) {
		/* conntrack gave it the mark of the connection that expected it */
		class = mark & SW_MARK_CLASS_MASK ?: brought;
	} else {
		class = sw_sets_find(sets, skb, state);
		if (class < 0)
			/* that of a validated handshake */
			class = brought ?: mark & SW_MARK_CLASS_MASK;
	}
	skb->mark |= class;
	WRITE_ONCE(ct->mark, (mark & ~SW_MARK_CLASS_MASK) | class);
	return NF_ACCEPT;
}

static const struct nf_hook_ops hooks[] = {
	{
		.hook = sw_mark,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = SW_MARKER_PRIORITY,
	},
	{
		.hook = sw_mark,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = SW_MARKER_PRIORITY,
	},
};

int sw_marker_bind(struct sw_net *sn, struct sw_sets *sets)
{
	struct sw_sets *old;
	int err = 0;

	mutex_lock(&sn->lock);
	old = rcu_dereference_protected(sn->sets, lockdep_is_held(&sn->lock));
	if (sets && !old)
		err = nf_register_net_hooks(sn->net, hooks, ARRAY_SIZE(hooks));
	if (!err) {
		rcu_assign_pointer(sn->sets, sets);
		/* rarely: see update_hooks() in net.c for what it costs others */
		if (old && !sets)
			nf_unregister_net_hooks(sn->net, hooks, ARRAY_SIZE(hooks));
	}
	mutex_unlock(&sn->lock);
	if (err || !old)
		return err;
	/* ip_set_test() of an index without a reference is a BUG() */
	synchronize_net();
	sw_sets_free(sn->net, old, old->count);
	return 0;
}

void sw_marker_pre_exit(struct sw_net *sn)
{
	mutex_lock(&sn->lock);
	if (rcu_access_pointer(sn->sets))
		nf_unregister_net_hooks(sn->net, hooks, ARRAY_SIZE(hooks));
	mutex_unlock(&sn->lock);
}

/* ip_set, which was there before us, still has the sets: namespaces end in reverse order. */
void sw_marker_exit(struct sw_net *sn)
{
	struct sw_sets *sets = rcu_dereference_protected(sn->sets, true);

	RCU_INIT_POINTER(sn->sets, NULL);
	if (sets)
		sw_sets_free(sn->net, sets, sets->count);
}
