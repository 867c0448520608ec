// SPDX-License-Identifier: GPL-2.0
/*
 * File operations of a channel's node: pass system calls on to the channel.
 */

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "channel.h"
#include "compat.h"
#include "file.h"
#include "ioctl.h"
#include "poll.h"
#include "read.h"
#include "stats.h"
#include "types.h"
#include "write.h"

static int bpipe_file_open(struct inode *inode, struct file *file)
{
	struct bpipe_channel *ch = container_of(inode->i_cdev, struct bpipe_channel, cdev);
	struct bpipe_file *bf;

	bf = bpipe_channel_open(ch, file->f_mode);
	if (IS_ERR(bf))
		return PTR_ERR(bf);
	file->private_data = bf;
	stream_open(inode, file);
	/*
	 * sendfile(2) requires FMODE_LSEEK of its source; lseek(2) still fails with ESPIPE.
	 * FMODE_NOWAIT: the iter calls honour IOCB_NOWAIT.
	 */
	file->f_mode |= FMODE_LSEEK | FMODE_NOWAIT;
	return 0;
}

static int bpipe_file_release(struct inode *inode, struct file *file)
{
	bpipe_channel_release(file->private_data);
	return 0;
}

static loff_t bpipe_file_llseek(struct file *file, loff_t offset, int whence)
{
	return -ESPIPE;
}

static unsigned int bpipe_file_flags(const struct file *file)
{
	return file->f_flags & O_NONBLOCK ? BPIPE_NONBLOCK : 0;
}

static unsigned int bpipe_iocb_flags(const struct kiocb *iocb)
{
	unsigned int flags = bpipe_file_flags(iocb->ki_filp);

	if (iocb->ki_flags & IOCB_NOWAIT)
		flags |= BPIPE_NONBLOCK | BPIPE_NOWAIT;
	if (iocb->ki_flags & IOCB_NOSIGNAL)
		flags |= BPIPE_NOSIGNAL;
	return flags;
}

/*
 * read(2) and write(2) bypass the iter calls, which serve readv(2), splice(2) and io_uring. A
 * kiocb costs more to set up than the rest of a small write.
 */
static ssize_t bpipe_file_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct iov_iter to;

	iov_iter_ubuf(&to, ITER_DEST, buf, count);
	return bpipe_channel_read(file->private_data, &to, bpipe_file_flags(file));
}

static ssize_t bpipe_file_write(struct file *file, const char __user *buf, size_t count,
				loff_t *pos)
{
	struct iov_iter from;

	iov_iter_ubuf(&from, ITER_SOURCE, (void __user *)buf, count);
	return bpipe_channel_write(file->private_data, &from, bpipe_file_flags(file));
}

static ssize_t bpipe_file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return bpipe_channel_read(iocb->ki_filp->private_data, to, bpipe_iocb_flags(iocb));
}

static ssize_t bpipe_file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return bpipe_channel_write(iocb->ki_filp->private_data, from, bpipe_iocb_flags(iocb));
}

static __poll_t bpipe_file_poll(struct file *file, poll_table *wait)
{
	return bpipe_channel_poll(file->private_data, file, wait);
}

static int bpipe_file_fasync(int fd, struct file *file, int on)
{
	return bpipe_channel_fasync(file->private_data, fd, file, on);
}

static void bpipe_file_show_fdinfo(struct seq_file *m, struct file *file)
{
	bpipe_stats_show_file(m, file->private_data);
}

const struct file_operations bpipe_fops = {
	.owner		= THIS_MODULE,
	.open		= bpipe_file_open,
	.release	= bpipe_file_release,
	.llseek		= bpipe_file_llseek,
	.read		= bpipe_file_read,
	.write		= bpipe_file_write,
	.read_iter	= bpipe_file_read_iter,
	.write_iter	= bpipe_file_write_iter,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
	.poll		= bpipe_file_poll,
	.fasync		= bpipe_file_fasync,
	.unlocked_ioctl	= bpipe_file_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= bpipe_file_show_fdinfo,
};
