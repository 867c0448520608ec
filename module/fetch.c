// SPDX-License-Identifier: GPL-2.0
/*
 * Fault in a caller's pages without locks, after a copy came up short.
 */

#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "fetch.h"
#include "types.h"

/* Fault in the pages of @n bytes. Return the number of bytes that are still missing. */
static size_t bpipe_fetch_part(const struct iov_iter *iter, size_t n)
{
	return iov_iter_rw(iter) == WRITE ? fault_in_iov_iter_readable(iter, n) :
					    fault_in_iov_iter_writeable(iter, n);
}

/**
 * bpipe_fetch() - fault in the pages of an iterator
 * @iter: the iterator, at the first byte; it is not advanced
 * @n: number of bytes, 1..BPIPE_SIZE_MAX
 *
 * A record may be as long as its channel. Other tasks may run after each piece, and a fatal
 * signal ends the loop.
 *
 * Context: may sleep; called without locks.
 * Return: number of bytes, starting with the first, that are present now; 0..@n.
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
