/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_RESTART_H
#define BPIPE_RESTART_H

#include <linux/ktime.h>
#include <linux/types.h>

struct bpipe_file;

int bpipe_restart_error(struct bpipe_file *bf, size_t count, ktime_t deadline);
ktime_t bpipe_restart_take(struct bpipe_file *bf, size_t count);
void bpipe_restart_forget(struct bpipe_file *bf);

#endif /* BPIPE_RESTART_H */
