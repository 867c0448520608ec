// SPDX-License-Identifier: GPL-2.0
/*
 * Owner, group and permissions of the device node, for devtmpfs and for udev.
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

/* Permissions of a node while the setting is BPIPE_UNSET. */
#define BPIPE_NODE_PERMISSIONS	0660

/* Take a snapshot of the settings: a uevent must not mix an old owner with new permissions. */
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
 * The driver core calls this for devtmpfs when it creates the node, and for each uevent. devtmpfs
 * replaces a mode of 0 by 0600, so return the file type, too: permissions of 0 are valid.
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
 * Add the settings of the node to a uevent. At each uevent, the udev rule gives the node to group
 * bpipe, and then applies these variables. The driver core's own DEVUID and DEVGID leave out ids
 * that are 0.
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
 * bpipe_node_configure() - change the configuration of a channel whose node exists
 * @ch: the channel
 * @set: the mask of the fields to set, and their values; ranges as in struct bpipe_config
 *
 * Calls bpipe_config_set(). If that sets the owner, group or permissions, a uevent makes udev
 * update the node. The uevent carries the settings at the time when it is sent, so the last of
 * several changes prevails.
 *
 * Context: may sleep; called without the channel's locks.
 * Return: 0, or an error of bpipe_config_set(), with nothing changed.
 */
int bpipe_node_configure(struct bpipe_channel *ch, const struct bpipe_config *set)
{
	int ret = bpipe_config_set(ch, set);

	if (!ret && set->mask & BPIPE_CFG_NODE)
		kobject_uevent(&ch->dev.kobj, KOBJ_CHANGE);
	return ret;
}
