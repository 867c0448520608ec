// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of ioctl(2): check permissions, and copy structures from and to user memory.
 * uapi/linux/bpipe.h documents the commands.
 */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/ioctls.h>

#include "compat.h"
#include "config.h"
#include "ioctl.h"
#include "node.h"
#include "poll.h"
#include "stats.h"
#include "status.h"
#include "types.h"

/* Return true if the caller owns the node or has CAP_SYS_ADMIN: it may change the channel. */
static bool bpipe_file_may_configure(const struct file *file)
{
	return uid_eq(current_fsuid(), file_inode(file)->i_uid) || capable(CAP_SYS_ADMIN);
}

/**
 * bpipe_ioctl_get() - copy a structure from user memory
 * @dst: the module's structure; fields that the caller does not know are set to zero
 * @ksize: size of @dst, bytes
 * @ver0: size of the first version of the structure, bytes, at most @ksize
 * @src: the caller's structure
 * @usize: size of @src, bytes; below @ksize if the caller is older, above if it is newer
 *
 * Context: may sleep.
 * Return: 0; -EINVAL if @usize is below @ver0; -E2BIG if a byte beyond @ksize is not zero;
 * -EFAULT if @src is not readable.
 */
int bpipe_ioctl_get(void *dst, size_t ksize, size_t ver0, const void __user *src, size_t usize)
{
	if (usize < ver0)
		return -EINVAL;
	return copy_struct_from_user(dst, ksize, src, usize);
}

/* Copy a structure to user memory, cut or padded with zeros to the caller's size. */
static int bpipe_ioctl_put(void __user *dst, size_t usize, size_t ver0, const void *src,
			   size_t ksize)
{
	if (usize < ver0)
		return -EINVAL;
	return copy_struct_to_user(dst, usize, src, ksize, NULL);
}

static int bpipe_ioctl_get_features(void __user *arg, size_t size)
{
	const struct bpipe_features features = {
		.features = BPIPE_FEATURE_STREAM | BPIPE_FEATURE_RATE |
			    BPIPE_FEATURE_READER | BPIPE_FEATURE_EVENTS |
			    BPIPE_FEATURE_RECORD | BPIPE_FEATURE_CLASSES |
			    BPIPE_FEATURE_POLICY | BPIPE_FEATURE_RATES |
			    BPIPE_FEATURE_CREDIT | BPIPE_FEATURE_TIME |
			    BPIPE_FEATURE_OVERLOAD | BPIPE_FEATURE_CONTROL |
			    BPIPE_FEATURE_STATUS | BPIPE_FEATURE_NODE |
			    BPIPE_FEATURE_ID | BPIPE_FEATURE_REMOVE,
		.config_mask = BPIPE_CFG_KNOWN,
		.reader_mask = BPIPE_READER_KNOWN,
		.writer_mask = BPIPE_WRITER_KNOWN,
	};

	return bpipe_ioctl_put(arg, size, BPIPE_FEATURES_SIZE_VER0, &features, sizeof(features));
}

static int bpipe_ioctl_set_config(struct file *file, const void __user *arg, size_t size)
{
	struct bpipe_file *bf = file->private_data;
	struct bpipe_config config;
	int ret;

	if (!bpipe_file_may_configure(file))
		return -EPERM;
	ret = bpipe_ioctl_get(&config, sizeof(config), BPIPE_CONFIG_SIZE_VER0, arg, size);
	if (ret)
		return ret;
	/* The node's owner may tune the channel, but not give it to others. */
	if (config.mask & BPIPE_CFG_NODE && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return bpipe_node_configure(bf->ch, &config);
}

static int bpipe_ioctl_get_config(struct bpipe_file *bf, void __user *arg, size_t size)
{
	struct bpipe_config config;

	bpipe_config_get(bf->ch, &config);
	return bpipe_ioctl_put(arg, size, BPIPE_CONFIG_SIZE_VER0, &config, sizeof(config));
}

static int bpipe_ioctl_get_stats(struct bpipe_file *bf, void __user *arg, size_t size)
{
	struct bpipe_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	int ret;

	if (!stats)
		return -ENOMEM;
	ret = bpipe_stats_snapshot(bf->ch, stats);
	if (!ret)
		ret = bpipe_ioctl_put(arg, size, BPIPE_STATS_SIZE_VER0, stats, sizeof(*stats));
	kfree(stats);
	return ret;
}

static int bpipe_ioctl_get_window(struct bpipe_file *bf, void __user *arg, size_t size)
{
	struct bpipe_window window;

	bpipe_stats_window(bf, &window);
	return bpipe_ioctl_put(arg, size, BPIPE_WINDOW_SIZE_VER0, &window, sizeof(window));
}

static int bpipe_ioctl_reset_peaks(struct file *file, size_t size)
{
	struct bpipe_file *bf = file->private_data;

	if (size)
		return -EINVAL;
	if (!bpipe_file_may_configure(file))
		return -EPERM;
	return bpipe_stats_reset_peaks(bf->ch);
}

static int bpipe_ioctl_set_reader(struct bpipe_file *bf, const void __user *arg, size_t size)
{
	struct bpipe_reader reader;
	int ret;

	ret = bpipe_ioctl_get(&reader, sizeof(reader), BPIPE_READER_SIZE_VER0, arg, size);
	return ret ?: bpipe_config_set_reader(bf, &reader);
}

static int bpipe_ioctl_get_events(struct bpipe_file *bf, void __user *arg, size_t size)
{
	struct bpipe_events events;
	int ret;

	/* Clear events only after the copy, which may fault. Retry if another call got one. */
	do {
		bpipe_channel_events(bf, &events);
		ret = bpipe_ioctl_put(arg, size, BPIPE_EVENTS_SIZE_VER0, &events, sizeof(events));
	} while (!ret && !bpipe_channel_clear_events(bf, &events));
	return ret;
}

static int bpipe_ioctl_set_writer(struct bpipe_file *bf, const void __user *arg, size_t size)
{
	struct bpipe_writer writer;
	int ret;

	ret = bpipe_ioctl_get(&writer, sizeof(writer), BPIPE_WRITER_SIZE_VER0, arg, size);
	return ret ?: bpipe_config_set_writer(bf, &writer);
}

static int bpipe_ioctl_grant(struct bpipe_file *bf, const void __user *arg, size_t size)
{
	struct bpipe_grant_credit grant;
	int ret;

	ret = bpipe_ioctl_get(&grant, sizeof(grant), BPIPE_GRANT_SIZE_VER0, arg, size);
	return ret ?: bpipe_config_grant(bf, grant.amount);
}

/**
 * bpipe_file_ioctl() - run a command of ioctl(2) on a channel
 * @file: the open file
 * @cmd: number of the command: BPIPE_* with any size of structure, or FIONREAD
 * @arg: address of its structure in user memory; unused by commands without one
 *
 * Context: may sleep; called without the channel's locks.
 * Return: 0, or a file descriptor for BPIPE_OPEN_STATUS; -ENODEV if the channel is gone;
 * -ENOTTY if the command is unknown; or an error of the command, see uapi/linux/bpipe.h.
 */
long bpipe_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct bpipe_file *bf = file->private_data;
	void __user *p = (void __user *)arg;
	size_t size = _IOC_SIZE(cmd);

	if (READ_ONCE(bf->ch->life) == BPIPE_LIFE_GONE)
		return -ENODEV;
	if (cmd == FIONREAD)
		return put_user((int)bpipe_stats_readable(bf->ch), (int __user *)p);

	switch (BPIPE_IOC_BARE(cmd)) {
	case BPIPE_IOC_BARE(BPIPE_GET_FEATURES):
		return bpipe_ioctl_get_features(p, size);
	case BPIPE_IOC_BARE(BPIPE_SET_CONFIG):
		return bpipe_ioctl_set_config(file, p, size);
	case BPIPE_IOC_BARE(BPIPE_GET_CONFIG):
		return bpipe_ioctl_get_config(bf, p, size);
	case BPIPE_IOC_BARE(BPIPE_GET_STATS):
		return bpipe_ioctl_get_stats(bf, p, size);
	case BPIPE_IOC_BARE(BPIPE_GET_WINDOW):
		return bpipe_ioctl_get_window(bf, p, size);
	case BPIPE_IOC_BARE(BPIPE_RESET_PEAKS):
		return bpipe_ioctl_reset_peaks(file, size);
	case BPIPE_IOC_BARE(BPIPE_SET_READER):
		return bpipe_ioctl_set_reader(bf, p, size);
	case BPIPE_IOC_BARE(BPIPE_GET_EVENTS):
		return bpipe_ioctl_get_events(bf, p, size);
	case BPIPE_IOC_BARE(BPIPE_SET_WRITER):
		return bpipe_ioctl_set_writer(bf, p, size);
	case BPIPE_IOC_BARE(BPIPE_OPEN_STATUS):
		return size ? -EINVAL : bpipe_status_open(bf->ch);
	case BPIPE_IOC_BARE(BPIPE_GRANT):
		return bpipe_ioctl_grant(bf, p, size);
	default:
		return -ENOTTY;
	}
}
