/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_READ_H
#define BPIPE_READ_H

#include <linux/types.h>

struct bpipe_file;
struct iov_iter;

ssize_t bpipe_channel_read(struct bpipe_file *bf, struct iov_iter *to, unsigned int flags);

#endif /* BPIPE_READ_H */
