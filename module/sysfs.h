/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_SYSFS_H
#define BPIPE_SYSFS_H

struct bpipe_channel;
struct kernfs_node;

void bpipe_sysfs_notify_init(struct bpipe_channel *ch);
void bpipe_sysfs_notify_locked(struct bpipe_channel *ch);
struct kernfs_node *bpipe_sysfs_notify_stop(struct bpipe_channel *ch);
void bpipe_sysfs_notify_gone(struct kernfs_node *state);

#endif /* BPIPE_SYSFS_H */
