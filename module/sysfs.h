/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_SYSFS_H
#define BPIPE_SYSFS_H

struct attribute_group;
struct class;

extern struct class bpipe_class;
extern const struct attribute_group *bpipe_channel_groups[];

void bpipe_sysfs_init(void);

#endif /* BPIPE_SYSFS_H */
