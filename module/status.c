// SPDX-License-Identifier: GPL-2.0
/*
 * The status page: what a channel is like, for those who want to know it more often than
 * system calls are cheap.
 *
 * It has a file of its own, as what is open for writing only cannot be mapped, and that
 * is what a producer's is. A mapping holds the file, so the last release of such a file
 * is the end of the page: no write of the channel has to update it any more.
 */

#include <linux/anon_inodes.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>

#include "compat.h"
#include "lock.h"
#include "status.h"
#include "types.h"
#include "wait.h"

static int bpipe_status_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct bpipe_channel *ch = file->private_data;

	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	vm_flags_clear(vma, VM_MAYWRITE);
	return vm_insert_page(vma, vma->vm_start, ch->status);
}

static __poll_t bpipe_status_poll(struct file *file, poll_table *wait)
{
	struct bpipe_channel *ch = file->private_data;

	poll_wait(file, &ch->status_poll, wait);
	return READ_ONCE(ch->life) == BPIPE_LIFE_GONE ? EPOLLHUP : 0;
}

/*
 * A further file shows the page. It is allocated without a lock, so also where there is one
 * already.
 */
static int bpipe_status_get(struct bpipe_channel *ch)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return -ENOMEM;
	bpipe_channel_lock(ch);
	ch->status_files++;
	if (!ch->status) {
		swap(ch->status, page);
		bpipe_wait_update_locked(ch);
	}
	bpipe_channel_unlock(ch);
	if (page)
		__free_page(page);
	return 0;
}

/* A file shows the page no more; the last one takes it away. */
static void bpipe_status_put(struct bpipe_channel *ch)
{
	struct page *page = NULL;

	bpipe_channel_lock(ch);
	if (!--ch->status_files) {
		page = ch->status;
		ch->status = NULL;
		/* Reads and writes need not stop for it any more. */
		bpipe_wait_update_locked(ch);
	}
	bpipe_channel_unlock(ch);
	if (page)
		put_page(page);
}

static int bpipe_status_release(struct inode *inode, struct file *file)
{
	struct bpipe_channel *ch = file->private_data;

	bpipe_status_put(ch);
	put_device(&ch->dev);
	return 0;
}

static const struct file_operations bpipe_status_fops = {
	.owner		= THIS_MODULE,
	.mmap		= bpipe_status_mmap,
	.poll		= bpipe_status_poll,
	.release	= bpipe_status_release,
};

/**
 * bpipe_status_open() - OPEN_STATUS
 * @ch: the channel
 *
 * Context: may sleep.
 * Return: a file descriptor, or -ENOMEM, -EMFILE, -ENFILE.
 */
int bpipe_status_open(struct bpipe_channel *ch)
{
	int ret = bpipe_status_get(ch);

	if (ret)
		return ret;
	get_device(&ch->dev);
	ret = anon_inode_getfd("[bpipe-status]", &bpipe_status_fops, ch, O_RDONLY | O_CLOEXEC);
	if (ret < 0) {
		bpipe_status_put(ch);
		put_device(&ch->dev);
	}
	return ret;
}
