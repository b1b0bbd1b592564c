/* SPDX-License-Identifier: GPL-2.0-only */
/* /sys/kernel/synward: what docs/ABI/sysfs-kernel-synward describes. */
#ifndef SYNWARD_SYSFS_H
#define SYNWARD_SYSFS_H

int sw_sysfs_init(void);
void sw_sysfs_exit(void);

#endif
