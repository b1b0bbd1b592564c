// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "device.h"
#include "event.h"
#include "lib/abi/ring.h"
#include "ring.h"
#include "verdict.h"
#include "wait.h"

/* A descriptor. It holds the namespace in which it was opened, and (by .owner) the module. */
struct reader {
	struct net *net;
	struct pid *opener;
	struct sw_ring *ring; /* NULL until set up; stored once, released with the file */
};

static struct sw_ring *reader_ring(struct file *file)
{
	struct reader *reader = file->private_data;

	/* pairs with the release in sw_net_publish() */
	return smp_load_acquire(&reader->ring);
}

/*
 * Whoever opens must be allowed to; a descriptor that is handed on is the
 * permission to use it.
 */
static int device_open(struct inode *inode, struct file *file)
{
	struct net *net = current->nsproxy->net_ns;
	struct reader *reader;

	if (!ns_capable(net->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	reader = kzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);
	if (!reader)
		return -ENOMEM;
	reader->net = get_net(net);
	reader->opener = get_pid(task_tgid(current));
	file->private_data = reader;
	return nonseekable_open(inode, file);
}

static int device_release(struct inode *inode, struct file *file)
{
	struct reader *reader = file->private_data;

	if (reader->ring)
		sw_ring_close(reader->ring);
	put_pid(reader->opener);
	put_net(reader->net);
	kfree(reader);
	return 0;
}

static int set_up(struct reader *reader, struct sw_ring_setup __user *to)
{
	struct sw_net *sn = sw_net(reader->net);
	struct sw_ring_setup setup;
	struct sw_ring *ring;
	int err;

	if (copy_from_user(&setup, to, sizeof(setup)))
		return -EFAULT;
	if (READ_ONCE(reader->ring))
		return -EALREADY;
	ring = sw_ring_create(sn, &setup);
	if (IS_ERR(ring))
		return PTR_ERR(ring);
	ring->opener = reader->opener;
	/* before it can hold packets, so that a fault leaves nothing behind */
	err = -EFAULT;
	if (!copy_to_user(to, &setup, sizeof(setup)))
		err = sw_net_publish(sn, ring, &reader->ring);
	if (err) {
		sw_ring_free(ring);
		return err;
	}
	sw_event(ring, SW_NL_EVENT_OPENED, GFP_KERNEL);
	return 0;
}

static long device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	if (command != SW_RING_SETUP)
		return -ENOTTY;
	return set_up(file->private_data, (struct sw_ring_setup __user *)argument);
}

/*
 * Read-only for good: what the kernel has written cannot be changed by the reader,
 * so that nothing has to be read back and checked.
 */
static int device_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct sw_ring *ring = reader_ring(file);

	if (!ring)
		return -ENXIO;
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EACCES;
	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff ||
	    vma->vm_end - vma->vm_start != ring->setup.map_bytes)
		return -EINVAL;
	vm_flags_clear(vma, VM_MAYWRITE | VM_MAYEXEC);
	return remap_vmalloc_range(vma, ring->map, 0);
}

static __poll_t device_poll(struct file *file, poll_table *table)
{
	struct sw_ring *ring = reader_ring(file);

	return ring ? sw_wait_poll(ring, file, table) : EPOLLERR;
}

static ssize_t device_write(struct file *file, const char __user *from, size_t bytes,
			    loff_t *position)
{
	struct sw_ring *ring = reader_ring(file);

	return ring ? sw_verdict_write(ring, from, bytes) : -ENXIO;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = device_mmap,
	.poll = device_poll,
	.write = device_write,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "synward",
	.fops = &operations,
	.mode = 0600,
};

int __init sw_device_init(void)
{
	return misc_register(&device);
}

void sw_device_exit(void)
{
	misc_deregister(&device);
}
