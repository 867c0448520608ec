// SPDX-License-Identifier: GPL-2.0
/*
 * Fetching the pages of a caller, without locks, where a copy came up short.
 */

#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "fetch.h"
#include "types.h"

/* A part of it, as large as what is copied in one go; how many bytes are not there. */
static size_t bpipe_fetch_part(const struct iov_iter *iter, size_t n)
{
	return iov_iter_rw(iter) == WRITE ? fault_in_iov_iter_readable(iter, n) :
					    fault_in_iov_iter_writeable(iter, n);
}

/**
 * bpipe_fetch() - fetch the pages that come next
 * @iter: where they are; it does not move
 * @n: how many bytes
 *
 * They may be as many as a channel holds: others may run in between, and a caller that is
 * killed is not kept.
 *
 * Context: may sleep; called without locks.
 * Return: bytes from the first one on that are there now.
 */
size_t bpipe_fetch(const struct iov_iter *iter, size_t n)
{
	struct iov_iter at = *iter;
	size_t part, missing, done = 0;

	do {
		part = min_t(size_t, n - done, BPIPE_CHUNK);
		missing = bpipe_fetch_part(&at, part);
		done += part - missing;
		iov_iter_advance(&at, part);
		cond_resched();
	} while (!missing && done < n && !fatal_signal_pending(current));
	return done;
}
