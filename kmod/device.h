/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/synward: one descriptor is one ring. */
#ifndef SYNWARD_DEVICE_H
#define SYNWARD_DEVICE_H

int sw_device_init(void);
void sw_device_exit(void);

#endif
