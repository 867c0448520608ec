/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_WRITE_H
#define BPIPE_WRITE_H

#include <linux/types.h>

struct bpipe_file;
struct iov_iter;

ssize_t bpipe_channel_write(struct bpipe_file *bf, struct iov_iter *from, unsigned int flags);

#endif /* BPIPE_WRITE_H */
