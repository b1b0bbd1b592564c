// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "lib/abi/reasons.h"
#include "lib/abi/ring.h"
#include "net.h"
#include "sysfs.h"

static struct kobject *folder;

static ssize_t version_show(struct kobject *kobject, struct kobj_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%s\n", SYNWARD_VERSION);
}

static ssize_t abi_show(struct kobject *kobject, struct kobj_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%u\n", SW_RING_ABI);
}

static struct kobj_attribute version_attribute = __ATTR_RO(version);
static struct kobj_attribute abi_attribute = __ATTR_RO(abi);

static struct attribute *module_attributes[] = {
	&version_attribute.attr,
	&abi_attribute.attr,
	NULL,
};

static const struct attribute_group module_group = { .attrs = module_attributes };

/* One file for each reason that the module counts; the array is indexed by reason. */
static struct kobj_attribute counters[SW_REASON_COUNT];

static ssize_t counter_show(struct kobject *kobject, struct kobj_attribute *attribute, char *text)
{
	return sysfs_emit(text, "%llu\n", sw_net_counter(attribute - counters));
}

/* clang-format off */
static struct kobj_attribute counters[SW_REASON_COUNT] = {
#define X(NAME, file, action, what) \
	[SW_REASON_##NAME] = __ATTR(file, 0444, counter_show, NULL),
	SW_REASONS(X)
#undef X
};

static struct attribute *counter_attributes[SW_REASON_COUNT + 1] = {
#define X(NAME, file, action, what) \
	[SW_REASON_##NAME] = &counters[SW_REASON_##NAME].attr,
	SW_REASONS(X)
#undef X
};

/* clang-format on */

static umode_t counter_visible(struct kobject *kobject, struct attribute *attribute, int index)
{
	return sw_stats_shown(index) ? attribute->mode : 0;
}

static const struct attribute_group counter_group = {
	.name = "counters",
	.attrs = counter_attributes,
	.is_visible = counter_visible,
};

static const struct attribute_group *groups[] = {
	&module_group,
	&counter_group,
	NULL,
};

int __init sw_sysfs_init(void)
{
	int err;

	folder = kobject_create_and_add("synward", kernel_kobj);
	if (!folder)
		return -ENOMEM;
	err = sysfs_create_groups(folder, groups);
	if (err)
		kobject_put(folder);
	return err;
}

void sw_sysfs_exit(void)
{
	sysfs_remove_groups(folder, groups);
	kobject_put(folder);
}
