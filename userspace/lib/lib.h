/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Shared by the files of the library. Nothing but what bpipe.h declares is exported. */
#ifndef BPIPE_LIB_H
#define BPIPE_LIB_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpipe.h>

#pragma GCC visibility push(default)
#include "bpipe.h"
#pragma GCC visibility pop

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

static inline int fail(int error)
{
	errno = error;
	return -1;
}

#endif /* BPIPE_LIB_H */
