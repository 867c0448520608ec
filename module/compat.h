/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernels, and nowhere else.
 *
 * Told apart by what the headers offer, not by version, since distributions
 * carry changes back: Kbuild looks for the names and defines BPIPE_HAVE_*.
 */
#ifndef BPIPE_COMPAT_H
#define BPIPE_COMPAT_H

#include <linux/device/class.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/splice.h>

#ifdef BPIPE_HAVE_HRTIMER_SETUP
#define bpipe_hrtimer_setup hrtimer_setup
#else
static inline void bpipe_hrtimer_setup(struct hrtimer *timer,
				       enum hrtimer_restart (*function)(struct hrtimer *),
				       clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

#ifdef BPIPE_HAVE_COPY_SPLICE_READ
#define bpipe_splice_read copy_splice_read
#else
#define bpipe_splice_read generic_file_splice_read
#endif

#ifdef BPIPE_HAVE_VM_FLAGS_CLEAR
#define bpipe_vm_flags_clear vm_flags_clear
#else
static inline void bpipe_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef IOCB_NOSIGNAL
#define IOCB_NOSIGNAL 0
#endif

/* The arguments of callbacks of device types and classes became const. */
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
