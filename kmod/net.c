// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netdevice.h>

#include "flush.h"
#include "hook.h"
#include "marker.h"
#include "net.h"
#include "ring.h"

unsigned int sw_net_id __read_mostly;

/* All namespaces, and what those that are gone have counted; for sw_net_counter(). */
static DEFINE_MUTEX(nets_lock);
static LIST_HEAD(nets);
static struct sw_stats retired;

/*
 * Hooks cost every packet of the namespace an indirect call: they are there only
 * while they have something to do. Unregistering makes the kernel drop what
 * nfnetlink_queue holds in this namespace, so it is done as rarely as possible.
 */
static int update_hooks(struct sw_net *sn, bool wanted)
{
	int err = 0;

	lockdep_assert_held(&sn->lock);
	if (wanted && !sn->hooked)
		err = sw_hook_register(sn->net);
	else if (!wanted && sn->hooked)
		sw_hook_unregister(sn->net);
	if (!err)
		sn->hooked = wanted;
	return err;
}

int sw_net_publish(struct sw_net *sn, struct sw_ring *ring, struct sw_ring **slot)
{
	const struct sw_ring_setup *setup = &ring->setup;
	int err;

	mutex_lock(&sn->lock);
	err = -EALREADY;
	if (*slot)
		goto out;
	err = -EBUSY;
	if (sn->open && (setup->rings != sn->rings || setup->fanout != sn->fanout))
		goto out;
	if (rcu_access_pointer(sn->ring[setup->ring]))
		goto out;
	err = -ENOBUFS;
	if (setup->slots > sw_limits_slots(&sn->limits) ||
	    sn->slots > sw_limits_slots(&sn->limits) - setup->slots)
		goto out;
	err = update_hooks(sn, true);
	if (err)
		goto out;
	sn->open++;
	sn->slots += setup->slots;
	WRITE_ONCE(sn->fanout, setup->fanout);
	WRITE_ONCE(sn->rings, setup->rings);
	rcu_assign_pointer(sn->ring[setup->ring], ring);
	/* pairs with the acquire of the file operations, which take no lock */
	smp_store_release(slot, ring);
out:
	mutex_unlock(&sn->lock);
	return err;
}

void sw_net_unpublish(struct sw_net *sn, struct sw_ring *ring)
{
	mutex_lock(&sn->lock);
	RCU_INIT_POINTER(sn->ring[ring->setup.ring], NULL);
	mutex_unlock(&sn->lock);
}

void sw_net_forget(struct sw_net *sn, struct sw_ring *ring)
{
	mutex_lock(&sn->lock);
	sn->slots -= ring->setup.slots;
	if (!--sn->open) {
		WRITE_ONCE(sn->rings, 0);
		update_hooks(sn, sn->fail == SW_RING_FAIL_DROP);
	}
	mutex_unlock(&sn->lock);
}

int sw_net_set_fail(struct sw_net *sn, u8 fail)
{
	int err = update_hooks(sn, sn->open || fail == SW_RING_FAIL_DROP);

	if (!err)
		WRITE_ONCE(sn->fail, fail);
	return err;
}

u64 sw_net_counter(enum sw_reason reason)
{
	const struct sw_net *sn;
	u64 sum;

	mutex_lock(&nets_lock);
	sum = retired.packets[reason];
	list_for_each_entry(sn, &nets, node)
		sum += sw_stats_sum(sn->stats, reason);
	mutex_unlock(&nets_lock);
	return sum;
}

static int __net_init net_init(struct net *net)
{
	struct sw_net *sn = sw_net(net);

	sn->stats = alloc_percpu(struct sw_stats);
	if (!sn->stats)
		return -ENOMEM;
	mutex_init(&sn->lock);
	sn->net = net;
	sn->fail = SW_RING_FAIL_ACCEPT;
	mutex_lock(&nets_lock);
	list_add(&sn->node, &nets);
	mutex_unlock(&nets_lock);
	return 0;
}

/* No ring is left: each holds the namespace. A policy and bound sets may still have hooks. */
static void __net_exit net_pre_exit(struct net *net)
{
	struct sw_net *sn = sw_net(net);

	mutex_lock(&sn->lock);
	update_hooks(sn, false);
	mutex_unlock(&sn->lock);
	sw_marker_pre_exit(sn);
}

static void __net_exit net_exit(struct net *net)
{
	struct sw_net *sn = sw_net(net);
	unsigned int i;

	WARN_ON_ONCE(sn->open || atomic_long_read(&sn->bytes));
	sw_marker_exit(sn);
	mutex_lock(&nets_lock);
	list_del(&sn->node);
	for (i = 0; i < SW_REASON_COUNT; i++)
		retired.packets[i] += sw_stats_sum(sn->stats, i);
	mutex_unlock(&nets_lock);
	free_percpu(sn->stats);
}

static struct pernet_operations net_ops = {
	.init = net_init,
	.pre_exit = net_pre_exit,
	.exit = net_exit,
	.id = &sw_net_id,
	.size = sizeof(struct sw_net),
};

/*
 * A device cannot go while packets hold it. Down comes first; what a CPU still
 * had in its backlog then is held by the time of unregistering, which is told
 * again and again until the last reference is gone. Under RTNL.
 */
static int device_event(struct notifier_block *block, unsigned long event, void *info)
{
	struct net_device *device = netdev_notifier_info_to_dev(info);
	struct sw_net *sn = sw_net(dev_net(device));
	struct sw_ring *ring;
	unsigned int i;

	if (event != NETDEV_DOWN && event != NETDEV_UNREGISTER)
		return NOTIFY_DONE;
	/* keeps the rings from being freed */
	rcu_read_lock();
	for (i = 0; i < SW_RINGS_MAX; i++) {
		ring = rcu_dereference(sn->ring[i]);
		if (ring)
			sw_flush_device(ring, device);
	}
	rcu_read_unlock();
	return NOTIFY_DONE;
}

static struct notifier_block device_notifier = { .notifier_call = device_event };

int __init sw_net_init(void)
{
	int err = register_pernet_subsys(&net_ops);

	if (err)
		return err;
	err = register_netdevice_notifier(&device_notifier);
	if (err)
		unregister_pernet_subsys(&net_ops);
	return err;
}

void sw_net_exit(void)
{
	unregister_netdevice_notifier(&device_notifier);
	/* waits for the hooks' readers, between pre_exit and exit */
	unregister_pernet_subsys(&net_ops);
}
