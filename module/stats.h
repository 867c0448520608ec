/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BPIPE_STATS_H
#define BPIPE_STATS_H

#include <linux/types.h>

struct bpipe_channel;
struct bpipe_file;
struct bpipe_stats;
struct bpipe_window;
struct seq_file;

int bpipe_stats_snapshot(struct bpipe_channel *ch, struct bpipe_stats *stats);
void bpipe_stats_window(struct bpipe_file *bf, struct bpipe_window *window);
u64 bpipe_stats_readable(struct bpipe_channel *ch);
int bpipe_stats_reset_peaks(struct bpipe_channel *ch);
void bpipe_stats_show_file(struct seq_file *m, struct bpipe_file *bf);

#endif /* BPIPE_STATS_H */
