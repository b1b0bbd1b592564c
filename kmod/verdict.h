/* SPDX-License-Identifier: GPL-2.0-only */
/* What the reader writes. */
#ifndef SYNWARD_VERDICT_H
#define SYNWARD_VERDICT_H

#include <linux/types.h>

struct sw_ring;

/*
 * `bytes` of struct sw_verdict. Returns `bytes`, -EINVAL or -EFAULT (verdicts
 * before the fault have been carried out). Sleeps.
 */
ssize_t sw_verdict_write(struct sw_ring *ring, const char __user *from, size_t bytes);

#endif
