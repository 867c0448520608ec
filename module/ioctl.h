/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_IOCTL_H
#define BPIPE_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct file;

/* Command number without the size of the structure, which depends on the caller's version. */
#define BPIPE_IOC_BARE(cmd)	((cmd) & ~IOCSIZE_MASK)

long bpipe_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
int bpipe_ioctl_get(void *dst, size_t ksize, size_t ver0, const void __user *src, size_t usize);

#endif /* BPIPE_IOCTL_H */
