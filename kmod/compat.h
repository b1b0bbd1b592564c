/* SPDX-License-Identifier: GPL-2.0-only */
/* All that differs between the kernels we build on: 6.1 and later. */
#ifndef SYNWARD_COMPAT_H
#define SYNWARD_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/version.h>

#ifndef CONFIG_64BIT
#error "synward publishes 64-bit sequence numbers in one store: it needs a 64-bit kernel"
#endif

/* What the marker needs; a kernel without it has the ring alone. Kbuild says the same. */
#if IS_ENABLED(CONFIG_IP_SET) && IS_ENABLED(CONFIG_NF_CONNTRACK) && \
	IS_ENABLED(CONFIG_NF_CONNTRACK_MARK)
#define SYNWARD_MARKS
#endif

#ifndef __counted_by
#define __counted_by(member)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

#endif
