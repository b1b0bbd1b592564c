// SPDX-License-Identifier: GPL-2.0-only
/*
 * synward's kernel module: the verdict ring (lib/abi/ring.h says what it is), and the
 * marker, which looks new connections up in ipsets (lib/abi/genetlink.h).
 *
 * Everything is started before what needs it, and user space gets in last: the
 * device is the only way to hold a packet.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "device.h"
#include "flush.h"
#include "genl.h"
#include "net.h"
#include "sysfs.h"

static int __init synward_init(void)
{
	int err;

	err = sw_flush_init();
	if (err)
		return err;
	err = sw_net_init();
	if (err)
		goto err_flush;
	err = sw_genl_init();
	if (err)
		goto err_net;
	err = sw_sysfs_init();
	if (err)
		goto err_genl;
	err = sw_device_init();
	if (err)
		goto err_sysfs;
	return 0;

err_sysfs:
	sw_sysfs_exit();
err_genl:
	sw_genl_exit();
err_net:
	sw_net_exit();
err_flush:
	sw_flush_exit();
	return err;
}

/* No descriptor is open here: each of them holds the module. So no ring exists. */
static void __exit synward_exit(void)
{
	sw_device_exit();
	sw_sysfs_exit();
	sw_genl_exit();
	sw_net_exit();
	sw_flush_exit();
	/* the hooks' memory is freed by callbacks, which must not outlive our text */
	rcu_barrier();
}

module_init(synward_init);
module_exit(synward_exit);
MODULE_DESCRIPTION("synward: verdict ring for escalated packets, marks of connections by ipset");
MODULE_AUTHOR("The synward authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(SYNWARD_VERSION);
MODULE_ALIAS_GENL_FAMILY("synward");
