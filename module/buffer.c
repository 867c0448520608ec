// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for what the channels hold. All buffers together stay below a cap,
 * beside being charged to the memory cgroup of whoever asks for them.
 */

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include "buffer.h"

/* Protects the sum. */
static DEFINE_SPINLOCK(bpipe_buffer_lock);
static u64 bpipe_buffer_bytes;

static u64 bpipe_buffer_cap;

/**
 * bpipe_buffer_used() - bytes of all buffers together
 */
u64 bpipe_buffer_used(void)
{
	u64 bytes;

	spin_lock(&bpipe_buffer_lock);
	bytes = bpipe_buffer_bytes;
	spin_unlock(&bpipe_buffer_lock);
	return bytes;
}

/**
 * bpipe_buffer_max() - the most that they may be
 */
u64 bpipe_buffer_max(void)
{
	return READ_ONCE(bpipe_buffer_cap);
}

/**
 * bpipe_buffer_set_max() - change it, for buffers to come
 * @bytes: the most
 */
void bpipe_buffer_set_max(u64 bytes)
{
	WRITE_ONCE(bpipe_buffer_cap, bytes);
}

/* Count a buffer if it fits: one that is refused never causes another to be refused. */
static bool bpipe_buffer_charge(u64 bytes)
{
	u64 max = bpipe_buffer_max();
	bool fits;

	spin_lock(&bpipe_buffer_lock);
	fits = bpipe_buffer_bytes + bytes <= max;
	if (fits)
		bpipe_buffer_bytes += bytes;
	spin_unlock(&bpipe_buffer_lock);
	return fits;
}

static void bpipe_buffer_uncharge(u64 bytes)
{
	spin_lock(&bpipe_buffer_lock);
	bpipe_buffer_bytes -= bytes;
	spin_unlock(&bpipe_buffer_lock);
}

/**
 * bpipe_buffer_free() - give a buffer back
 * @data: the buffer
 * @size: what was asked for
 *
 * Context: may sleep.
 */
void bpipe_buffer_free(void *data, size_t size)
{
	vfree(data);
	bpipe_buffer_uncharge(PAGE_ALIGN(size));
}

/*
 * As vmalloc(), but what was got before it failed is given back at once. On Linux
 * 7.3, it stayed charged for a while after vmalloc() had failed, and whoever asked
 * for memory next, in that full memory cgroup, was killed.
 */
static void *bpipe_buffer_map(size_t n)
{
	/* RETRY_MAYFAIL: a memory cgroup at its limit is an error, not a kill. */
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct page **pages = kvmalloc_array(n, sizeof(*pages), gfp);
	void *data = NULL;
	size_t i;

	if (!pages)
		return NULL;
	for (i = 0; i < n && !fatal_signal_pending(current); i++) {
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
 * bpipe_buffer_alloc() - get a buffer
 * @size: bytes
 *
 * Context: may sleep.
 * Return: the buffer; or ERR_PTR: -ENOSPC (the cap is reached), -ENOMEM.
 */
void *bpipe_buffer_alloc(size_t size)
{
	size_t bytes = PAGE_ALIGN(size);
	void *data;

	if (!bpipe_buffer_charge(bytes))
		return ERR_PTR(-ENOSPC);
	data = bpipe_buffer_map(bytes >> PAGE_SHIFT);
	if (!data) {
		bpipe_buffer_uncharge(bytes);
		return ERR_PTR(-ENOMEM);
	}
	return data;
}
