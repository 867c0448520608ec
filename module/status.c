// SPDX-License-Identifier: GPL-2.0
/*
 * The file of the status page, which shows level, state and windows without a system call.
 * page.c writes the page.
 *
 * The page needs a separate file, because a file open only for writing, as a producer's is, cannot
 * be mapped. A mapping holds its file open. So when the last file is released, no mapping is left,
 * the page is freed, and moves of bytes no longer update it.
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
 * Count another file of the page, and create the page for the first one. The allocation may sleep,
 * so it comes before the lock, even if the page exists.
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

/* Uncount a file of the page, and free the page after the last one. */
static void bpipe_status_put(struct bpipe_channel *ch)
{
	struct page *page = NULL;

	bpipe_channel_lock(ch);
	if (!--ch->status_files) {
		page = ch->status;
		ch->status = NULL;
		/* Raise wake_above and lower wake_below, so that moves of bytes skip the update. */
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
 * bpipe_status_open() - open a file of the status page, for OPEN_STATUS
 * @ch: the channel; the file holds a reference to it
 *
 * Context: may sleep; called without the channel's locks.
 * Return: a new file descriptor, read-only and close-on-exec; -ENOMEM; -EMFILE or -ENFILE if the
 * process or the system has too many open files.
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
