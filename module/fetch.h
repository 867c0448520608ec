/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_FETCH_H
#define BPIPE_FETCH_H

#include <linux/types.h>

struct iov_iter;

size_t bpipe_fetch(const struct iov_iter *iter, size_t n);

#endif /* BPIPE_FETCH_H */
