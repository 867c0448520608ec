// SPDX-License-Identifier: GPL-2.0
/*
 * The device node: owner, group and permissions, for devtmpfs and for udev.
 */

#include <linux/cred.h>
#include <linux/kobject.h>
#include <linux/stat.h>
#include <linux/uidgid.h>

#include "compat.h"
#include "config.h"
#include "lock.h"
#include "node.h"
#include "types.h"

/* Mode bits of a node for which none were set. */
#define BPIPE_NODE_PERMISSIONS	0660

/* One state of the settings: a uevent must not mix the old owner and the new mode. */
static struct bpipe_settings bpipe_node_settings(const struct device *dev)
{
	struct bpipe_channel *ch = container_of(dev, struct bpipe_channel, dev);
	struct bpipe_settings set;

	bpipe_channel_lock(ch);
	set = ch->set;
	bpipe_channel_unlock(ch);
	return set;
}

/*
 * The driver core calls this for devtmpfs when it makes the node, and for each
 * uevent. devtmpfs takes a mode of 0 for 0600, so the type of the file is set as
 * well: permissions of 0 let nobody in but root.
 */
static char *bpipe_node_devnode(BPIPE_DEVNODE_CONST struct device *dev, umode_t *mode,
				kuid_t *uid, kgid_t *gid)
{
	const struct bpipe_settings set = bpipe_node_settings(dev);

	if (mode)
		*mode = S_IFCHR | (set.permissions == BPIPE_UNSET ? BPIPE_NODE_PERMISSIONS :
								    set.permissions);
	if (uid && set.uid != BPIPE_UNSET)
		*uid = make_kuid(&init_user_ns, set.uid);
	if (gid && set.gid != BPIPE_UNSET)
		*gid = make_kgid(&init_user_ns, set.gid);
	return NULL;
}

/*
 * The udev rule gives the node to group bpipe at each event, and then applies what
 * is said here. The driver core's own DEVUID and DEVGID leave out ids that are 0.
 */
static int bpipe_node_uevent(BPIPE_UEVENT_CONST struct device *dev, struct kobj_uevent_env *env)
{
	const struct bpipe_settings set = bpipe_node_settings(dev);
	int ret = 0;

	if (set.uid != BPIPE_UNSET)
		ret = add_uevent_var(env, "BPIPE_UID=%u", set.uid);
	if (!ret && set.gid != BPIPE_UNSET)
		ret = add_uevent_var(env, "BPIPE_GID=%u", set.gid);
	if (!ret && set.permissions != BPIPE_UNSET)
		ret = add_uevent_var(env, "BPIPE_MODE=%04o", set.permissions);
	return ret;
}

const struct device_type bpipe_node_type = {
	.devnode	= bpipe_node_devnode,
	.uevent		= bpipe_node_uevent,
};

/**
 * bpipe_node_configure() - change the configuration of a channel that has its node
 * @ch: the channel
 * @set: which fields to set, and to what
 *
 * As bpipe_config_set(), and let udev update the node if the change concerns it.
 * The uevent carries the settings at the time it is sent, so the last of several
 * changes prevails.
 *
 * Context: may sleep.
 * Return: as bpipe_config_set().
 */
int bpipe_node_configure(struct bpipe_channel *ch, const struct bpipe_config *set)
{
	int ret = bpipe_config_set(ch, set);

	if (!ret && set->mask & BPIPE_CFG_NODE)
		kobject_uevent(&ch->dev.kobj, KOBJ_CHANGE);
	return ret;
}
