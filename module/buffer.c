// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for what the channels hold. The buffers of all channels together stay below
 * a cap, and those of one channel below its share of the cap. In addition, a buffer is
 * charged to the memory cgroup of the task that allocates it.
 */

#include <linux/gfp.h>
#include <linux/llist.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "buffer.h"

/*
 * Protects the sums. One lock for both limits: if two counters changed one after the
 * other, a charge that fails on the second would for a moment refuse others on the first.
 */
static DEFINE_SPINLOCK(bpipe_buffer_lock);
static u64 bpipe_buffer_bytes;

static u64 bpipe_buffer_cap;
static unsigned int bpipe_buffer_part = 50;

/**
 * struct bpipe_buffer_idle - the first bytes of a buffer that waits to be freed
 * @node: in the list of these; added and removed without a lock
 * @size: bytes, as allocated; does not change
 */
struct bpipe_buffer_idle {
	struct llist_node node;
	size_t size;
};

static LLIST_HEAD(bpipe_buffer_list);

/**
 * bpipe_buffer_used() - sum of all buffers
 *
 * Context: any but hard interrupt.
 * Return: bytes.
 */
u64 bpipe_buffer_used(void)
{
	u64 bytes;

	spin_lock_bh(&bpipe_buffer_lock);
	bytes = bpipe_buffer_bytes;
	spin_unlock_bh(&bpipe_buffer_lock);
	return bytes;
}

/**
 * bpipe_buffer_used_by() - sum of one channel's buffers
 * @memory: the channel's account
 *
 * Context: any but hard interrupt.
 * Return: bytes.
 */
u64 bpipe_buffer_used_by(const struct bpipe_memory *memory)
{
	u64 bytes;

	spin_lock_bh(&bpipe_buffer_lock);
	bytes = memory->bytes;
	spin_unlock_bh(&bpipe_buffer_lock);
	return bytes;
}

/**
 * bpipe_buffer_max() - the cap on all buffers together
 *
 * Return: bytes.
 */
u64 bpipe_buffer_max(void)
{
	return READ_ONCE(bpipe_buffer_cap);
}

/**
 * bpipe_buffer_set_max() - change the cap, for buffers to come
 * @bytes: the cap
 */
void bpipe_buffer_set_max(u64 bytes)
{
	WRITE_ONCE(bpipe_buffer_cap, bytes);
}

/**
 * bpipe_buffer_percent() - the part of the cap that one channel may take
 *
 * Return: percent, 1 to 100.
 */
unsigned int bpipe_buffer_percent(void)
{
	return READ_ONCE(bpipe_buffer_part);
}

/**
 * bpipe_buffer_set_percent() - change that part, for buffers to come
 * @percent: the part, 1 to 100
 */
void bpipe_buffer_set_percent(unsigned int percent)
{
	WRITE_ONCE(bpipe_buffer_part, percent);
}

/**
 * bpipe_buffer_share() - the cap on the buffers of one channel
 *
 * Return: bytes.
 */
u64 bpipe_buffer_share(void)
{
	return mul_u64_u32_div(bpipe_buffer_max(), bpipe_buffer_percent(), 100);
}

static bool bpipe_buffer_try_charge(struct bpipe_memory *memory, u64 bytes)
{
	u64 max = bpipe_buffer_max(), share = bpipe_buffer_share();
	bool fits;

	spin_lock_bh(&bpipe_buffer_lock);
	fits = memory->bytes + bytes <= share && bpipe_buffer_bytes + bytes <= max;
	if (fits) {
		memory->bytes += bytes;
		bpipe_buffer_bytes += bytes;
	}
	spin_unlock_bh(&bpipe_buffer_lock);
	return fits;
}

/* Free all buffers that wait for it. */
static void bpipe_buffer_free_idle(struct work_struct *work)
{
	struct bpipe_buffer_idle *idle, *next;
	struct bpipe_memory gone = { };

	llist_for_each_entry_safe(idle, next, llist_del_all(&bpipe_buffer_list), node) {
		/* The channel has been uncharged already, and may not exist any more. */
		gone.bytes = PAGE_ALIGN(idle->size);
		bpipe_buffer_free(&gone, idle, idle->size);
	}
}

static DECLARE_WORK(bpipe_buffer_work, bpipe_buffer_free_idle);

/**
 * bpipe_buffer_charge() - count buffers that are about to be allocated
 * @memory: the account of their channel
 * @bytes: their sum, whole pages
 *
 * All of them or none. A charge that is refused never causes another to be refused.
 *
 * Context: may sleep.
 * Return: 0; or -ENOSPC if the channel's share, or the cap on all, would be exceeded.
 */
int bpipe_buffer_charge(struct bpipe_memory *memory, u64 bytes)
{
	if (bpipe_buffer_try_charge(memory, bytes))
		return 0;
	/* Buffers that wait to be freed still count. */
	bpipe_buffer_flush();
	return bpipe_buffer_try_charge(memory, bytes) ? 0 : -ENOSPC;
}

/**
 * bpipe_buffer_uncharge() - undo a charge
 * @memory: the account of the channel
 * @bytes: the sum, or a part of it
 *
 * Context: any but hard interrupt.
 */
void bpipe_buffer_uncharge(struct bpipe_memory *memory, u64 bytes)
{
	spin_lock_bh(&bpipe_buffer_lock);
	memory->bytes -= bytes;
	bpipe_buffer_bytes -= bytes;
	spin_unlock_bh(&bpipe_buffer_lock);
}

/**
 * bpipe_buffer_free() - free a buffer
 * @memory: the account that it is charged to
 * @data: the buffer
 * @size: bytes, as allocated
 *
 * Context: may sleep.
 */
void bpipe_buffer_free(struct bpipe_memory *memory, void *data, size_t size)
{
	vfree(data);
	bpipe_buffer_uncharge(memory, PAGE_ALIGN(size));
}

/**
 * bpipe_buffer_free_later() - free a buffer where the caller cannot sleep
 * @memory: the account that it is charged to; the channel may go at once
 * @data: the buffer, no longer in use; a list takes its first bytes
 * @size: bytes, as allocated
 *
 * The channel is uncharged at once. The cap counts the buffer until it is freed.
 *
 * Context: any but hard interrupt.
 */
void bpipe_buffer_free_later(struct bpipe_memory *memory, void *data, size_t size)
{
	struct bpipe_buffer_idle *idle = data;

	spin_lock_bh(&bpipe_buffer_lock);
	memory->bytes -= PAGE_ALIGN(size);
	spin_unlock_bh(&bpipe_buffer_lock);
	idle->size = size;
	if (llist_add(&idle->node, &bpipe_buffer_list))
		queue_work(system_unbound_wq, &bpipe_buffer_work);
}

/**
 * bpipe_buffer_flush() - wait until all buffers are freed that bpipe_buffer_free_later() got
 *
 * Context: may sleep.
 */
void bpipe_buffer_flush(void)
{
	flush_work(&bpipe_buffer_work);
}

/*
 * As vmalloc(), but what was got before it failed is given back at once. On Linux
 * 7.3, it stayed charged for a while after vmalloc() had failed, and whoever asked
 * for memory next, in that full memory cgroup, was killed.
 */
static void *bpipe_buffer_map(const struct bpipe_memory *memory, size_t n)
{
	/* RETRY_MAYFAIL: a memory cgroup at its limit is an error, not a kill. */
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct page **pages = kvmalloc_array(n, sizeof(*pages), gfp);
	void *data = NULL;
	size_t i;

	if (!pages)
		return NULL;
	for (i = 0; i < n && !fatal_signal_pending(current) && !READ_ONCE(memory->gone); i++) {
		pages[i] = alloc_page(gfp | __GFP_HIGHMEM);
		if (!pages[i])
			break;
		cond_resched();
	}
	if (i == n)
		data = vmap(pages, n, VM_MAP | VM_MAP_PUT_PAGES, PAGE_KERNEL);
	if (!data) {
		while (i--)
			__free_page(pages[i]);
		kvfree(pages);
	}
	return data;
}

/**
 * bpipe_buffer_alloc() - allocate a buffer that is charged already
 * @memory: the account that it is charged to
 * @size: bytes
 *
 * May take long, as the memory cgroup of the caller may be throttled: call it without
 * a lock.
 *
 * Context: may sleep.
 * Return: the buffer; NULL if there is no memory, the caller is being killed, or the channel
 * is gone.
 */
void *bpipe_buffer_alloc(const struct bpipe_memory *memory, size_t size)
{
	return bpipe_buffer_map(memory, PAGE_ALIGN(size) >> PAGE_SHIFT);
}
