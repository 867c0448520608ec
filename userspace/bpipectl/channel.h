/* SPDX-License-Identifier: GPL-2.0 */
/* Channels: found, opened, read; what stands in the way explained. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "bpipe.h"

struct channel {
	int fd;
	char *path;
	struct bpipe_config config;
	struct bpipe_stats stats;
	/* What was dropped of all classes, by enum bpipe_drop. */
	struct {
		uint64_t bytes[BPIPE_DROP_REASONS];
		uint64_t records[BPIPE_DROP_REASONS];
	} dropped;
};

struct channels {
	struct channel *at;
	size_t nr;
};

/*
 * All return an exit status, having complained if it is not EXIT_OK. A channel
 * is opened in a way that counts neither as reader nor as writer, and read at
 * once; channel_read() looks again.
 */
int channel_open(struct channel *ch, const char *which);
int channel_read(struct channel *ch);
void channel_close(struct channel *ch);

/*
 * The name of the node of a channel given by name, as "jobs" or "bpipe-jobs": 0, or -1 if
 * no channel can have it. And the other way: the name to give to ADD and REMOVE, or that
 * of the module's own channel.
 */
int channel_node_name(const char *name, char node[BPIPE_NAME_MAX]);
const char *channel_bare_name(const char *node);

/*
 * Give the node the owner, group and permissions among what was set. Where udev runs, its
 * rule does the same a moment later.
 */
int channel_own(const struct channel *ch, const struct bpipe_config *set);

/*
 * Open and read those named, or, without names, all there are. @all has those
 * that could be read, whatever the status.
 */
int channels_open(struct channels *all, char **names);
void channels_close(struct channels *all);

/* Return true if there is a channel with a node of that name, without opening it. */
bool channel_exists(const char *node);

/* Whether there are such channels, or any; asked without opening them. */
int channels_exist(char **names);

/*
 * When it will be full if the level goes on as since @before: nanoseconds, or UINT64_MAX
 * if it does not rise.
 */
uint64_t channel_full_in(const struct channel *ch, const struct channel *before);

/* Say why a command to a channel failed, by errno; the exit status for it. */
int channel_failed(const struct channel *ch, const char *what);

#endif /* CHANNEL_H */
