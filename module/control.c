// SPDX-License-Identifier: GPL-2.0
/*
 * The list of channels: create a channel, publish its node, and remove it. /dev/bpipe exists from
 * load to unload; /dev/bpipe-control adds and removes others.
 */

#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/kdev_t.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "announce.h"
#include "band.h"
#include "buffer.h"
#include "channel.h"
#include "config.h"
#include "control.h"
#include "file.h"
#include "flow.h"
#include "ioctl.h"
#include "node.h"
#include "overload.h"
#include "poll.h"
#include "shed.h"
#include "sysfs.h"
#include "types.h"
#include "wait.h"

/* Protects the list, its length, the minors and the ids. Callers of *_control() hold it. */
static DEFINE_MUTEX(bpipe_control_lock);
static LIST_HEAD(bpipe_control_list);
static void bpipe_control_reap(struct work_struct *work);
static DECLARE_WORK(bpipe_control_reaper, bpipe_control_reap);
static unsigned int bpipe_control_nr;
/*
 * Minors in use. A device node or a rule of a device cgroup may outlive its channel, so a minor is
 * used again only after all others.
 */
static DEFINE_IDR(bpipe_control_minors);
#define BPIPE_CONTROL_MINORS	(MINORMASK + 1)
static dev_t bpipe_control_devt;
/* First half of each channel's id: random, so that it differs from other loads of the module. */
static u64 bpipe_control_load;
/* Second half of the latest channel's id: a counter from load. */
static u64 bpipe_control_made;
/* Size of a new channel whose configuration sets none, bytes. */
static u64 bpipe_control_size;

/*
 * Name of the channel from load. No name given to ADD begins with it, but each node's name does. So
 * user space can accept either kind of name without ambiguity.
 */
static const char bpipe_control_own[] = "bpipe";

/* Number of channels not yet freed; unloading waits until it is 0. */
static atomic_t bpipe_channels;

/* Free a channel after the last reference to its device is dropped. */
static void bpipe_control_free(struct device *dev)
{
	struct bpipe_channel *ch = container_of(dev, struct bpipe_channel, dev);
	u32 class;

	bpipe_shed_uninit(ch);
	bpipe_wait_uninit(ch);
	bpipe_poll_uninit(ch);
	for (class = 0; class < BPIPE_CLASSES; class++)
		bpipe_band_free(ch->band[class], &ch->memory);
	kfree(ch);
	if (atomic_dec_and_test(&bpipe_channels))
		wake_up_var(&bpipe_channels);
}

/*
 * Create a channel, configure it, and publish its node. The configuration comes first, so that the
 * node has its owner and permissions from the start.
 *
 * Return: the channel; or ERR_PTR: -EINVAL if the size is out of range; -ENOMEM; -ENOSPC if a
 * buffer would exceed the channel's share of memory; an error of bpipe_config_set() or of the
 * driver core.
 */
static struct bpipe_channel *bpipe_control_create(const char *name, dev_t devt, const u64 id[2],
						  u64 size, const struct bpipe_config *config)
{
	struct bpipe_channel *ch;
	int ret;

	ch = kzalloc(sizeof(*ch), GFP_KERNEL_ACCOUNT);
	if (!ch)
		return ERR_PTR(-ENOMEM);

	mutex_init(&ch->config);
	mutex_init(&ch->wr.lock);
	mutex_init(&ch->rd.lock);
	init_waitqueue_head(&ch->status_poll);
	spin_lock_init(&ch->lock);
	init_waitqueue_head(&ch->allocators);
	memcpy(ch->id, id, sizeof(ch->id));
	ch->state_since = ktime_get_ns();
	bpipe_config_init(ch, size);
	bpipe_wait_init(ch);
	bpipe_poll_init(ch);
	bpipe_shed_init(ch);
	bpipe_overload_init(ch, ch->state_since);
	bpipe_announce_init(ch);

	atomic_inc(&bpipe_channels);
	device_initialize(&ch->dev);
	ch->dev.class = &bpipe_class;
	ch->dev.type = &bpipe_node_type;
	ch->dev.devt = devt;
	ch->dev.groups = bpipe_channel_groups;
	ch->dev.release = bpipe_control_free;
	cdev_init(&ch->cdev, &bpipe_fops);
	ch->cdev.owner = THIS_MODULE;

	ret = -EINVAL;
	if (!bpipe_flow_valid(&ch->flow))
		goto put;
	bpipe_flow_set_marks(&ch->flow);
	ret = -ENOMEM;
	ch->band[0] = bpipe_band_create();
	if (!ch->band[0])
		goto put;

	ret = bpipe_config_set(ch, config);
	if (ret)
		goto put;
	ret = -ENOSPC;
	if (PAGE_ALIGN(ch->flow.size) > bpipe_buffer_share())
		goto put;
	ret = dev_set_name(&ch->dev, "%s", name);
	if (ret)
		goto put;
	ret = cdev_device_add(&ch->cdev, &ch->dev);
	if (ret)
		goto put;
	return ch;

put:
	put_device(&ch->dev);
	return ERR_PTR(ret);
}

/* Remove the node of a channel, and drop the reference to its device; open files hold others. */
static void bpipe_control_destroy(struct bpipe_channel *ch)
{
	struct kernfs_node *state;

	bpipe_overload_stop(ch);
	state = bpipe_announce_stop(ch);
	cdev_device_del(&ch->cdev, &ch->dev);
	bpipe_announce_gone(state);
	put_device(&ch->dev);
}

/*
 * Wait until all channels and buffers are freed. A reference may outlive the node for a moment, and
 * the code that frees channels and buffers is in this module.
 */
static void bpipe_control_wait_freed(void)
{
	wait_var_event(&bpipe_channels, !atomic_read(&bpipe_channels));
	bpipe_buffer_flush();
}

/* Create a channel whose node has the given name, and add it to the list. */
static int bpipe_list_add_control(const char *name, const struct bpipe_config *config)
{
	u64 id[2] = { bpipe_control_load };
	struct bpipe_channel *ch;
	int minor;

	lockdep_assert_held(&bpipe_control_lock);
	if (bpipe_control_nr == BPIPE_CHANNELS_MAX)
		return -ENOSPC;
	minor = idr_alloc_cyclic(&bpipe_control_minors, NULL, 0, BPIPE_CONTROL_MINORS, GFP_KERNEL);
	if (minor < 0)
		return minor;
	id[1] = ++bpipe_control_made;
	ch = bpipe_control_create(name, MKDEV(MAJOR(bpipe_control_devt), minor), id,
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

/* Remove a channel and its node. Its minor is free for another node only afterwards. */
static void bpipe_list_remove_control(struct bpipe_channel *ch)
{
	int minor = MINOR(ch->dev.devt);

	lockdep_assert_held(&bpipe_control_lock);
	list_del(&ch->node);
	bpipe_control_nr--;
	bpipe_control_destroy(ch);
	idr_remove(&bpipe_control_minors, minor);
}

/* Remove the channels that have drained: they are empty and not open. */
static void bpipe_control_reap(struct work_struct *work)
{
	struct bpipe_channel *ch, *next;

	mutex_lock(&bpipe_control_lock);
	list_for_each_entry_safe(ch, next, &bpipe_control_list, node)
		if (READ_ONCE(ch->life) == BPIPE_LIFE_DRAINING &&
		    !bpipe_channel_retire(ch, BPIPE_REMOVE_DRAIN))
			bpipe_list_remove_control(ch);
	mutex_unlock(&bpipe_control_lock);
}

static struct bpipe_channel *bpipe_list_find_control(const char *name)
{
	struct bpipe_channel *ch;

	lockdep_assert_held(&bpipe_control_lock);
	list_for_each_entry(ch, &bpipe_control_list, node)
		if (!strcmp(dev_name(&ch->dev), name))
			return ch;
	return NULL;
}

/* Derive the name of the node from the name of a channel. Return false if that is not valid. */
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
	/* copy_struct_from_user() reads each byte beyond the structure, so limit their number. */
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
	ret = bpipe_list_find_control(node) ? -EEXIST :
						bpipe_list_add_control(node, &config);
	mutex_unlock(&bpipe_control_lock);
	return ret;
}

/* Flags of REMOVE that the module knows; a call may set at most one. */
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
		ch = bpipe_list_find_control(node);
	ret = ch ? bpipe_channel_retire(ch, remove.flags) : -ENOENT;
	if (!ret)
		bpipe_list_remove_control(ch);
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
		bpipe_list_remove_control(ch);
	mutex_unlock(&bpipe_control_lock);
	bpipe_control_wait_freed();
	/* No channel is left to schedule the reaper. */
	cancel_work_sync(&bpipe_control_reaper);
}

/**
 * bpipe_control_init() - create /dev/bpipe and /dev/bpipe-control
 * @size: capacity of /dev/bpipe, and of each other channel whose configuration sets none, bytes,
 *	BPIPE_SIZE_MIN..BPIPE_SIZE_MAX
 *
 * Context: may sleep.
 * Return: 0; -EINVAL if @size is out of range; -ENOSPC if a buffer would exceed a channel's share
 * of memory; -ENOMEM; or an error of the driver core.
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
	ret = bpipe_list_add_control(bpipe_control_own, &config);
	mutex_unlock(&bpipe_control_lock);
	if (ret)
		goto remove;
	ret = misc_register(&bpipe_control_device);
	if (ret)
		goto remove;
	return 0;

remove:
	bpipe_control_remove_all();
	unregister_chrdev_region(bpipe_control_devt, BPIPE_CONTROL_MINORS);
	return ret;
}

/**
 * bpipe_control_uninit() - remove all nodes, and wait until all channels are freed
 *
 * No channel is open, because an open file keeps the module loaded.
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
