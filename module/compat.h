/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernels; no other file tests for them. On an older kernel, this header
 * defines the interfaces of newer kernels under their upstream names.
 *
 * The kernel's headers decide, not its version, because distributions backport interfaces. Kbuild
 * looks for the names in the headers and defines BPIPE_HAVE_*.
 */
#ifndef BPIPE_COMPAT_H
#define BPIPE_COMPAT_H

#include <linux/device/class.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/splice.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#ifndef BPIPE_HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

#ifndef BPIPE_HAVE_COPY_SPLICE_READ
#define copy_splice_read generic_file_splice_read
#endif

#ifndef BPIPE_HAVE_VM_FLAGS_CLEAR
static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef BPIPE_HAVE_COPY_STRUCT_TO_USER
/* Copy a structure to user memory, cut or padded with zeros to the caller's size. */
static inline int copy_struct_to_user(void __user *dst, size_t usize, const void *src,
				      size_t ksize, bool *ignored_trailing)
{
	size_t both = min(usize, ksize);

	if (ignored_trailing)
		*ignored_trailing = usize < ksize && memchr_inv(src + usize, 0, ksize - usize);
	if (copy_to_user(dst, src, both) || clear_user(dst + both, usize - both))
		return -EFAULT;
	return 0;
}
#endif

#ifndef IOCB_NOSIGNAL
#define IOCB_NOSIGNAL 0
#endif

/* Newer kernels pass const structures to the callbacks of device types and attributes. */
#ifdef BPIPE_HAVE_CONST_DEVNODE
#define BPIPE_DEVNODE_CONST const
#else
#define BPIPE_DEVNODE_CONST
#endif
#ifdef BPIPE_HAVE_CONST_UEVENT
#define BPIPE_UEVENT_CONST const
#else
#define BPIPE_UEVENT_CONST
#endif
#ifdef BPIPE_HAVE_CONST_CLASS_ATTR
#define BPIPE_CLASS_ATTR_CONST const
#else
#define BPIPE_CLASS_ATTR_CONST
#endif
#ifdef BPIPE_HAVE_CONST_BIN_ATTR
#define BPIPE_BIN_ATTR_CONST const
#else
#define BPIPE_BIN_ATTR_CONST
#endif

#endif /* BPIPE_COMPAT_H */
