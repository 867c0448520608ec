// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of the buffers. A cap limits the buffers of all channels. A share of the cap limits the
 * buffers of each channel. In addition, a buffer is charged to the memory cgroup of the task that
 * allocates it.
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
 * Protects bpipe_buffer_bytes and bpipe_memory.bytes. The two sums change together. Otherwise a
 * charge that the second limit refuses would take from the first for a moment, and other charges
 * would be refused.
 */
static DEFINE_SPINLOCK(bpipe_buffer_lock);
static u64 bpipe_buffer_bytes;

/* Limits: bytes for all channels, and percent of these for one. Read without the lock. */
static u64 bpipe_buffer_cap;
static unsigned int bpipe_buffer_part = 50;

/**
 * struct bpipe_buffer_idle - header in the first bytes of a buffer that waits to be freed
 * @node: in bpipe_buffer_list; added and removed without a lock
 * @size: bytes of the buffer, as allocated; does not change
 */
struct bpipe_buffer_idle {
	struct llist_node node;
	size_t size;
};

static LLIST_HEAD(bpipe_buffer_list);

/**
 * bpipe_buffer_used() - get the memory charged for all buffers
 *
 * Context: process or softirq; does not sleep.
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
 * bpipe_buffer_used_by() - get the memory charged for the buffers of one channel
 * @memory: account of the channel
 *
 * Context: process or softirq; does not sleep.
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
 * bpipe_buffer_max() - get the cap on the buffers of all channels
 *
 * Context: any.
 * Return: bytes.
 */
u64 bpipe_buffer_max(void)
{
	return READ_ONCE(bpipe_buffer_cap);
}

/**
 * bpipe_buffer_set_max() - set the cap on the buffers of all channels
 * @bytes: the cap, bytes
 *
 * Later charges obey the cap. Existing buffers stay.
 *
 * Context: any.
 */
void bpipe_buffer_set_max(u64 bytes)
{
	WRITE_ONCE(bpipe_buffer_cap, bytes);
}

/**
 * bpipe_buffer_percent() - get the share of one channel, in percent of the cap
 *
 * Context: any.
 * Return: percent, 1..100.
 */
unsigned int bpipe_buffer_percent(void)
{
	return READ_ONCE(bpipe_buffer_part);
}

/**
 * bpipe_buffer_set_percent() - set the share of one channel, in percent of the cap
 * @percent: the share, 1..100
 *
 * Later charges obey the share. Existing buffers stay.
 *
 * Context: any.
 */
void bpipe_buffer_set_percent(unsigned int percent)
{
	WRITE_ONCE(bpipe_buffer_part, percent);
}

/**
 * bpipe_buffer_share() - get the limit on the buffers of one channel
 *
 * Context: any.
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

/* Free all buffers that bpipe_buffer_free_later() has queued. */
static void bpipe_buffer_free_idle(struct work_struct *work)
{
	struct bpipe_buffer_idle *idle, *next;
	struct bpipe_memory gone = { };

	llist_for_each_entry_safe(idle, next, llist_del_all(&bpipe_buffer_list), node) {
		/* The channel was uncharged before, and may no longer exist. */
		gone.bytes = PAGE_ALIGN(idle->size);
		bpipe_buffer_free(&gone, idle, idle->size);
	}
}

static DECLARE_WORK(bpipe_buffer_work, bpipe_buffer_free_idle);

/**
 * bpipe_buffer_charge() - charge buffers that are about to be allocated
 * @memory: account of the channel
 * @bytes: memory that the buffers will take, whole pages
 *
 * Charge all bytes or none. A refused charge never causes another charge to be refused.
 *
 * Context: may sleep.
 * Return: 0, or -ENOSPC if the cap on all buffers, or the channel's share, would be exceeded.
 */
int bpipe_buffer_charge(struct bpipe_memory *memory, u64 bytes)
{
	if (bpipe_buffer_try_charge(memory, bytes))
		return 0;
	/* Buffers that wait to be freed still count, so free them before the second attempt. */
	bpipe_buffer_flush();
	return bpipe_buffer_try_charge(memory, bytes) ? 0 : -ENOSPC;
}

/**
 * bpipe_buffer_uncharge() - undo a charge, or a part of it
 * @memory: account of the channel
 * @bytes: bytes to undo, whole pages
 *
 * Context: process or softirq; does not sleep.
 */
void bpipe_buffer_uncharge(struct bpipe_memory *memory, u64 bytes)
{
	spin_lock_bh(&bpipe_buffer_lock);
	memory->bytes -= bytes;
	bpipe_buffer_bytes -= bytes;
	spin_unlock_bh(&bpipe_buffer_lock);
}

/**
 * bpipe_buffer_free() - free a buffer and undo its charge
 * @memory: account that the buffer is charged to
 * @data: the buffer
 * @size: bytes of the buffer, as allocated
 *
 * Context: may sleep.
 */
void bpipe_buffer_free(struct bpipe_memory *memory, void *data, size_t size)
{
	vfree(data);
	bpipe_buffer_uncharge(memory, PAGE_ALIGN(size));
}

/**
 * bpipe_buffer_free_later() - queue a buffer to be freed, for a caller that cannot sleep
 * @memory: account that the buffer is charged to; not used after the call
 * @data: the buffer, no longer in use; its first bytes become a list node
 * @size: bytes of the buffer, as allocated
 *
 * The channel is uncharged at once. The buffer counts against the cap until it is freed.
 *
 * Context: process or softirq; does not sleep.
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
 * bpipe_buffer_flush() - wait until all buffers queued by bpipe_buffer_free_later() are freed
 *
 * Context: may sleep.
 */
void bpipe_buffer_flush(void)
{
	flush_work(&bpipe_buffer_work);
}

/*
 * Allocate and map @n pages, as vmalloc() does, but after a failure free the pages at once. On
 * Linux 7.3, the pages of a failed vmalloc() stayed charged for a while. The next allocation in
 * that full memory cgroup then invoked the OOM killer.
 */
static void *bpipe_buffer_map(const struct bpipe_memory *memory, size_t n)
{
	/* RETRY_MAYFAIL: at the limit of a memory cgroup, fail without the OOM killer. */
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
 * bpipe_buffer_alloc() - allocate a buffer that has been charged
 * @memory: account that the buffer is charged to
 * @size: bytes of the buffer, 1..BPIPE_SIZE_MAX
 *
 * Context: called without locks; may sleep, for minutes if the memory cgroup is throttled.
 * Return: the buffer; NULL if memory is lacking, the caller is being killed, or the channel is
 * gone.
 */
void *bpipe_buffer_alloc(const struct bpipe_memory *memory, size_t size)
{
	return bpipe_buffer_map(memory, PAGE_ALIGN(size) >> PAGE_SHIFT);
}
