/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_FETCH_H
#define BPIPE_FETCH_H

#include <linux/types.h>

struct iov_iter;

/*
 * Copies in a row that may come up short although the user's pages were faulted in. Most
 * often a page was taken away again. With memory tags, as of arm64's MTE, a page is there
 * and some of its bytes are out of bounds to the caller: that does not get better. Copies
 * between which the caller slept are not in a row: a long sleep costs it any page.
 */
#define BPIPE_FAULTS_MAX	16

size_t bpipe_fetch(const struct iov_iter *iter, size_t n);

#endif /* BPIPE_FETCH_H */
