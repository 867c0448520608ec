/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_FETCH_H
#define BPIPE_FETCH_H

#include <linux/types.h>

struct iov_iter;

/*
 * Most consecutive copies that may come up short although the user's pages were faulted in. Most
 * often a page was reclaimed again. With memory tags (MTE of arm64), some bytes of a present page
 * may be out of the caller's bounds, and no retry helps. A sleep starts the count
 * again, because any page may be reclaimed during a long sleep.
 */
#define BPIPE_FAULTS_MAX	16

size_t bpipe_fetch(const struct iov_iter *iter, size_t n);

#endif /* BPIPE_FETCH_H */
