// SPDX-License-Identifier: GPL-2.0-only
#include <linux/log2.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "event.h"
#include "flush.h"
#include "limits.h"
#include "ring.h"
#include "wait.h"

/* The reader's header is 64-bit stores at fixed places. */
static_assert(offsetof(struct sw_ring_header, head) % sizeof(u64) == 0);

static int check(const struct sw_net *sn, const struct sw_ring_setup *s)
{
	if (s->abi != SW_RING_ABI)
		return -EPROTO;
	if (!s->rings || s->rings > SW_RINGS_MAX || s->ring >= s->rings)
		return -EINVAL;
	if (s->mode >= SW_RING_MODES || s->fanout >= SW_RING_FANOUTS || s->fail >= SW_RING_FAILS ||
	    s->reserved)
		return -EINVAL;
	if (s->slots < SW_RING_SLOTS_MIN || s->slots > SW_RING_SLOTS_MAX ||
	    !is_power_of_2(s->slots))
		return -EINVAL;
	if (s->frame_bytes < SW_FRAME_BYTES_MIN || s->frame_bytes > SW_FRAME_BYTES_MAX ||
	    !is_power_of_2(s->frame_bytes))
		return -EINVAL;
	if (!s->watermark || s->watermark > s->slots)
		return -EINVAL;
	/* a timer beyond the deadline would never be seen; none at all would never wake */
	if (!s->deadline_ms || s->deadline_ms > SW_DEADLINE_MS_MAX)
		return -EINVAL;
	if ((!s->timer_us && s->watermark > 1) || s->timer_us > s->deadline_ms * USEC_PER_MSEC)
		return -EINVAL;
	if (s->deadline_ms > sw_limits_deadline(&sn->limits) ||
	    s->bytes > sw_limits_bytes(&sn->limits))
		return -ENOBUFS;
	return 0;
}

struct sw_ring *sw_ring_create(struct sw_net *sn, struct sw_ring_setup *setup)
{
	struct sw_slot *slot;
	struct sw_ring *ring;
	int err = check(sn, setup);

	if (err)
		return ERR_PTR(err);
	setup->frames_offset = PAGE_SIZE;
	setup->map_bytes = PAGE_SIZE + PAGE_ALIGN(setup->slots * setup->frame_bytes);
	if (!sw_limits_charge(setup->map_bytes))
		return ERR_PTR(-ENOBUFS);

	ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	if (!ring)
		goto err_charge;
	ring->held = kvcalloc(setup->slots, sizeof(*ring->held), GFP_KERNEL_ACCOUNT);
	slot = kvcalloc(setup->slots, sizeof(*slot), GFP_KERNEL_ACCOUNT);
	/* zeroed: no word of the kernel's memory is ever seen through it */
	ring->map = vmalloc_user(setup->map_bytes);
	if (!ring->held || !slot || !ring->map)
		goto err_memory;

	ring->sn = sn;
	ring->setup = *setup;
	ring->frames = (u8 *)ring->map + setup->frames_offset;
	ring->frame_bytes = setup->frame_bytes;
	ring->watermark = setup->watermark;
	ring->deadline_ns = setup->deadline_ms * (u64)NSEC_PER_MSEC;
	ring->timer_ns = setup->timer_us * (u64)NSEC_PER_USEC;
	ring->mode = setup->mode;
	ring->fail = setup->fail;
	ring->map->abi = SW_RING_ABI;
	ring->map->slots = setup->slots;
	ring->map->frame_bytes = setup->frame_bytes;
	ring->map->frames_offset = setup->frames_offset;

	spin_lock_init(&ring->lock);
	sw_slots_init(&ring->slots, slot, ilog2(setup->slots), setup->bytes ?: U64_MAX);
	sw_wait_init(ring);
	INIT_DELAYED_WORK(&ring->deadline, sw_flush_deadline);
	return ring;

err_memory:
	vfree(ring->map);
	kvfree(slot);
	kvfree(ring->held);
	kfree(ring);
err_charge:
	sw_limits_uncharge(setup->map_bytes);
	return ERR_PTR(-ENOMEM);
}

void sw_ring_free(struct sw_ring *ring)
{
	unsigned long bytes = ring->setup.map_bytes;

	vfree(ring->map);
	kvfree(ring->slots.slot);
	kvfree(ring->held);
	kfree(ring);
	sw_limits_uncharge(bytes);
}

/*
 * A hook on another CPU may have found the ring before it was unpublished: it
 * looks at `dead` under the lock, so that nothing is put in after the flush.
 */
void sw_ring_close(struct sw_ring *ring)
{
	struct sw_net *sn = ring->sn;

	sw_net_unpublish(sn, ring);
	spin_lock_bh(&ring->lock);
	ring->dead = true;
	spin_unlock_bh(&ring->lock);
	/* both look at `dead` before they arm themselves again */
	cancel_delayed_work_sync(&ring->deadline);
	hrtimer_cancel(&ring->timer);
	sw_flush_all(ring);
	sw_net_forget(sn, ring);
	sw_event(ring, SW_NL_EVENT_CLOSED, GFP_KERNEL);
	synchronize_net();
	sw_ring_free(ring);
}
