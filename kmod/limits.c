// SPDX-License-Identifier: GPL-2.0-only
#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>

#include "lib/abi/ring.h"
#include "limits.h"

/* docs/ABI/sysfs-module-synward describes the parameters. */
static unsigned int slots = 65536;
static unsigned int deadline_ms = SW_DEADLINE_MS_MAX;
static unsigned long bytes = 64UL << 20;
static unsigned long memory = 256UL << 20;

static atomic_long_t charged;

static int set_slots(const char *text, const struct kernel_param *param)
{
	return param_set_uint_minmax(text, param, SW_RING_SLOTS_MIN,
				     SW_RINGS_MAX * SW_RING_SLOTS_MAX);
}

static int set_deadline(const char *text, const struct kernel_param *param)
{
	return param_set_uint_minmax(text, param, 1, SW_DEADLINE_MS_MAX);
}

/* At least one packet, or the limit would be an odd way to switch holding off. */
static int set_bytes(const char *text, const struct kernel_param *param)
{
	unsigned long value;
	int err = kstrtoul(text, 0, &value);

	if (err)
		return err;
	if (value < PAGE_SIZE || value > LONG_MAX)
		return -EINVAL;
	WRITE_ONCE(*(unsigned long *)param->arg, value);
	return 0;
}

static const struct kernel_param_ops slots_ops = { .set = set_slots, .get = param_get_uint };
static const struct kernel_param_ops deadline_ops = { .set = set_deadline, .get = param_get_uint };
static const struct kernel_param_ops bytes_ops = { .set = set_bytes, .get = param_get_ulong };

module_param_cb(slots, &slots_ops, &slots, 0644);
MODULE_PARM_DESC(slots, "Most slots of all rings of a network namespace");
module_param_cb(deadline_ms, &deadline_ops, &deadline_ms, 0644);
MODULE_PARM_DESC(deadline_ms, "Most milliseconds that a ring may hold a packet");
module_param_cb(bytes, &bytes_ops, &bytes, 0644);
MODULE_PARM_DESC(bytes, "Most bytes of packets held in a network namespace");
module_param_cb(memory, &bytes_ops, &memory, 0644);
MODULE_PARM_DESC(memory, "Most bytes of ring memory of the whole machine");

u32 sw_limits_slots(const struct sw_limits *limits)
{
	return min_not_zero(READ_ONCE(limits->slots), (u32)READ_ONCE(slots));
}

u32 sw_limits_deadline(const struct sw_limits *limits)
{
	return min_not_zero(READ_ONCE(limits->deadline_ms), (u32)READ_ONCE(deadline_ms));
}

u64 sw_limits_bytes(const struct sw_limits *limits)
{
	return min_not_zero(READ_ONCE(limits->bytes), (u64)READ_ONCE(bytes));
}

bool sw_limits_charge(unsigned long amount)
{
	if (atomic_long_add_return(amount, &charged) <= READ_ONCE(memory))
		return true;
	atomic_long_sub(amount, &charged);
	return false;
}

void sw_limits_uncharge(unsigned long amount)
{
	atomic_long_sub(amount, &charged);
}
