// SPDX-License-Identifier: GPL-2.0
/*
 * Which channels there are: the one from load, and those that come and go by
 * /dev/bpipe-control.
 */

#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/kdev_t.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "channel.h"
#include "config.h"
#include "control.h"
#include "ioctl.h"

/* Guards the list; in this file, _locked is with this one held. */
static DEFINE_MUTEX(bpipe_control_lock);
static LIST_HEAD(bpipe_control_list);
static void bpipe_control_reap(struct work_struct *work);
static DECLARE_WORK(bpipe_control_reaper, bpipe_control_reap);
static unsigned int bpipe_control_nr;
/*
 * Minors in use. A node or a device-cgroup rule may outlive its channel, so a minor is
 * not used again before all others were.
 */
static DEFINE_IDR(bpipe_control_minors);
#define BPIPE_CONTROL_MINORS	(MINORMASK + 1)
static dev_t bpipe_control_devt;
/* What tells the channels of this load apart from those of another: random. */
static u64 bpipe_control_load;
/* The latest channel's number since load. */
static u64 bpipe_control_made;
/* Of a channel for which none is asked. */
static u64 bpipe_control_size;

/*
 * The name of the one from load. None that is added begins with it, so that it can be told
 * whether a name is that of a node or that under which a channel was added.
 */
static const char bpipe_control_own[] = "bpipe";

/* Makes a channel, whose name is that of its node. */
static int bpipe_control_add_locked(const char *name, const struct bpipe_config *config)
{
	u64 id[2] = { bpipe_control_load };
	struct bpipe_channel *ch;
	int minor;

	if (bpipe_control_nr == BPIPE_CHANNELS_MAX)
		return -ENOSPC;
	minor = idr_alloc_cyclic(&bpipe_control_minors, NULL, 0, BPIPE_CONTROL_MINORS, GFP_KERNEL);
	if (minor < 0)
		return minor;
	id[1] = ++bpipe_control_made;
	ch = bpipe_channel_create(name, MKDEV(MAJOR(bpipe_control_devt), minor), id,
				  bpipe_control_size, config);
	if (IS_ERR(ch)) {
		idr_remove(&bpipe_control_minors, minor);
		return PTR_ERR(ch);
	}
	ch->reaper = &bpipe_control_reaper;
	list_add_tail(&ch->node, &bpipe_control_list);
	bpipe_control_nr++;
	return 0;
}

static void bpipe_control_remove_locked(struct bpipe_channel *ch)
{
	int minor = MINOR(ch->dev.devt);

	list_del(&ch->node);
	bpipe_control_nr--;
	bpipe_channel_destroy(ch);
	idr_remove(&bpipe_control_minors, minor);
}

/* Remove the channels that have drained by now. */
static void bpipe_control_reap(struct work_struct *work)
{
	struct bpipe_channel *ch, *next;

	mutex_lock(&bpipe_control_lock);
	list_for_each_entry_safe(ch, next, &bpipe_control_list, node)
		if (READ_ONCE(ch->life) == BPIPE_LIFE_DRAINING &&
		    !bpipe_channel_retire(ch, BPIPE_REMOVE_DRAIN))
			bpipe_control_remove_locked(ch);
	mutex_unlock(&bpipe_control_lock);
}

static struct bpipe_channel *bpipe_control_find_locked(const char *name)
{
	struct bpipe_channel *ch;

	list_for_each_entry(ch, &bpipe_control_list, node)
		if (!strcmp(dev_name(&ch->dev), name))
			return ch;
	return NULL;
}

/* The name of the node, for a name that was given; whether that can be one. */
static bool bpipe_control_name(char node[BPIPE_NAME_MAX], const char given[BPIPE_NAME_MAX])
{
	size_t len = strnlen(given, BPIPE_NAME_MAX), i;

	if (len > BPIPE_NAME_MAX - sizeof(BPIPE_NAME_PREFIX) || !isalnum(given[0]) ||
	    memchr_inv(given + len, 0, BPIPE_NAME_MAX - len) ||
	    !strncmp(given, bpipe_control_own, strlen(bpipe_control_own)) ||
	    !strcmp(given, "control"))
		return false;
	for (i = 0; i < len; i++)
		if (!isascii(given[i]) || (!isalnum(given[i]) && !strchr("._-", given[i])))
			return false;
	snprintf(node, BPIPE_NAME_MAX, BPIPE_NAME_PREFIX "%s", given);
	return true;
}

static int bpipe_control_add(const void __user *arg, size_t size)
{
	struct bpipe_config config = { };
	char node[BPIPE_NAME_MAX];
	struct bpipe_add add;
	int ret;

	ret = bpipe_ioctl_get(&add, sizeof(add), BPIPE_ADD_SIZE_VER0, arg, size);
	if (ret)
		return ret;
	if (add.pad || !bpipe_control_name(node, add.name))
		return -EINVAL;
	/* Whatever follows the structure is looked at byte by byte: not 4 GiB of it. */
	if (add.config_size > PAGE_SIZE)
		return -E2BIG;
	if (add.config)
		ret = bpipe_ioctl_get(&config, sizeof(config), BPIPE_CONFIG_SIZE_VER0,
				      u64_to_user_ptr(add.config), add.config_size);
	else if (add.config_size)
		ret = -EINVAL;
	if (ret)
		return ret;

	ret = mutex_lock_killable(&bpipe_control_lock);
	if (ret)
		return ret;
	ret = bpipe_control_find_locked(node) ? -EEXIST :
						bpipe_control_add_locked(node, &config);
	mutex_unlock(&bpipe_control_lock);
	return ret;
}

/* At most one at a time. */
#define BPIPE_CONTROL_REMOVE_KNOWN	(BPIPE_REMOVE_DRAIN | BPIPE_REMOVE_FORCE)

static int bpipe_control_remove(const void __user *arg, size_t size)
{
	struct bpipe_channel *ch = NULL;
	struct bpipe_remove remove;
	char node[BPIPE_NAME_MAX];
	int ret;

	ret = bpipe_ioctl_get(&remove, sizeof(remove), BPIPE_REMOVE_SIZE_VER0, arg, size);
	if (ret)
		return ret;
	if (remove.flags & ~BPIPE_CONTROL_REMOVE_KNOWN)
		return -EOPNOTSUPP;
	if (remove.flags == BPIPE_CONTROL_REMOVE_KNOWN || remove.pad)
		return -EINVAL;
	ret = mutex_lock_killable(&bpipe_control_lock);
	if (ret)
		return ret;
	if (bpipe_control_name(node, remove.name))
		ch = bpipe_control_find_locked(node);
	ret = ch ? bpipe_channel_retire(ch, remove.flags) : -ENOENT;
	if (!ret)
		bpipe_control_remove_locked(ch);
	mutex_unlock(&bpipe_control_lock);
	return ret == -EINPROGRESS ? 0 : ret;
}

static long bpipe_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const void __user *p = (const void __user *)arg;

	switch (BPIPE_IOC_BARE(cmd)) {
	case BPIPE_IOC_BARE(BPIPE_ADD):
		return capable(CAP_SYS_ADMIN) ? bpipe_control_add(p, _IOC_SIZE(cmd)) : -EPERM;
	case BPIPE_IOC_BARE(BPIPE_REMOVE):
		return capable(CAP_SYS_ADMIN) ? bpipe_control_remove(p, _IOC_SIZE(cmd)) : -EPERM;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations bpipe_control_fops = {
	.owner		= THIS_MODULE,
	.open		= nonseekable_open,
	.unlocked_ioctl	= bpipe_control_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice bpipe_control_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "bpipe-control",
	.fops	= &bpipe_control_fops,
	.mode	= 0600,
};

static void bpipe_control_remove_all(void)
{
	struct bpipe_channel *ch, *next;

	mutex_lock(&bpipe_control_lock);
	list_for_each_entry_safe(ch, next, &bpipe_control_list, node)
		bpipe_control_remove_locked(ch);
	mutex_unlock(&bpipe_control_lock);
	bpipe_channel_wait_freed();
	/* The last of what could schedule it has ended. */
	cancel_work_sync(&bpipe_control_reaper);
}

/**
 * bpipe_control_init() - make the first channel, and let others be made
 * @size: its capacity in bytes, and that of others for which none is asked
 *
 * Context: may sleep.
 * Return: 0, or as bpipe_channel_create().
 */
int bpipe_control_init(u64 size)
{
	const struct bpipe_config config = { };
	int ret;

	bpipe_control_size = size;
	bpipe_control_load = get_random_u64();
	ret = alloc_chrdev_region(&bpipe_control_devt, 0, BPIPE_CONTROL_MINORS, "bpipe");
	if (ret)
		return ret;
	mutex_lock(&bpipe_control_lock);
	ret = bpipe_control_add_locked(bpipe_control_own, &config);
	mutex_unlock(&bpipe_control_lock);
	if (!ret)
		ret = misc_register(&bpipe_control_device);
	if (!ret)
		return 0;
	bpipe_control_remove_all();
	unregister_chrdev_region(bpipe_control_devt, BPIPE_CONTROL_MINORS);
	return ret;
}

/**
 * bpipe_control_uninit() - remove all channels, none of which is open
 *
 * Context: may sleep.
 */
void bpipe_control_uninit(void)
{
	misc_deregister(&bpipe_control_device);
	bpipe_control_remove_all();
	unregister_chrdev_region(bpipe_control_devt, BPIPE_CONTROL_MINORS);
	idr_destroy(&bpipe_control_minors);
}
