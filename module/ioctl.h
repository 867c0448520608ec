/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_IOCTL_H
#define BPIPE_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct file;

/* The command number without the size, which may differ; see the uapi header. */
#define BPIPE_IOC_BARE(cmd)	((cmd) & ~IOCSIZE_MASK)

long bpipe_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
int bpipe_ioctl_get(void *dst, size_t ksize, size_t ver0, const void __user *src, size_t usize);

#endif /* BPIPE_IOCTL_H */
