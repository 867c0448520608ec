/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_POLL_H
#define BPIPE_POLL_H

#include <linux/poll.h>

struct bpipe_channel;
struct bpipe_events;
struct bpipe_file;

void bpipe_poll_init(struct bpipe_channel *ch);
void bpipe_poll_uninit(struct bpipe_channel *ch);

__poll_t bpipe_channel_poll(struct bpipe_file *bf, struct file *file, poll_table *wait);
int bpipe_channel_fasync(struct bpipe_file *bf, int fd, struct file *file, int on);

void bpipe_channel_events(struct bpipe_file *bf, struct bpipe_events *events);
bool bpipe_channel_clear_events(struct bpipe_file *bf, const struct bpipe_events *events);

#endif /* BPIPE_POLL_H */
