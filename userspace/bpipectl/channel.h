/* SPDX-License-Identifier: GPL-2.0 */
/* Channels: found, opened, read; what stands in the way explained. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "bpipe.h"

struct channel {
	int dir;	/* of sysfs, through which it is looked at; -1 without one */
	int fd;		/* its device; -1 until it is steered */
	bool named;	/* by the user, whom it concerns if it has gone */
	char *path;
	struct bpipe_config config;
	struct bpipe_stats stats;
	/* What was dropped of all classes, by enum bpipe_drop. */
	struct {
		uint64_t bytes[BPIPE_DROP_REASONS];
		uint64_t records[BPIPE_DROP_REASONS];
	} dropped;
	/* Bytes of its buffers; 0 without sysfs. */
	struct {
		uint64_t all;
	} memory;
};

struct channels {
	struct channel *at;
	size_t nr;
};

/* Instead of an exit status: it has gone, and nobody named it. Nothing was said of it. */
#define CHANNEL_GONE	(-1)

/*
 * All return an exit status, having complained if it is not EXIT_OK. channel_open() finds a
 * channel and reads it; channel_read() looks again. Neither keeps a file of the channel
 * open, unless sysfs cannot be used. channel_steer() opens its device, in a way that
 * counts neither as reader nor as writer, for a command that changes something: these
 * BPIPE_CFG_* of the configuration, or 0.
 */
int channel_open(struct channel *ch, const char *which);
int channel_read(struct channel *ch);
int channel_steer(struct channel *ch, uint64_t mask);
void channel_close(struct channel *ch);

/* The keys of the device node. */
#define CHANNEL_NODE_KEYS	(BPIPE_CFG_UID | BPIPE_CFG_GID | BPIPE_CFG_PERMISSIONS)

/* Say in words which users may change what @mask names, or peaks if it is 0. */
const char *channel_changers(uint64_t mask);

/*
 * Return a file that poll(POLLPRI) watches for changes of state, or -1 where there is none
 * and channel_read() has to be repeated. channel_watch_again() comes before each look.
 */
int channel_watch(const struct channel *ch);
void channel_watch_again(int watch);

/* Say why no channel can be added under this name; NULL if one can. */
const char *channel_name_fault(const char *name);

/*
 * Put the name of the node of a channel, given in any of these ways, into @node: NULL, or
 * why no channel can have that name.
 */
const char *channel_node_name(const char *name, char node[BPIPE_NAME_MAX]);

/*
 * Give the node the owner, group and permissions among what was set. Where udev runs, what
 * is left to its rules is not changed here: udev_wait() waits until udev has set it.
 */
int channel_own(const struct channel *ch, const struct bpipe_config *set);

/*
 * Open and read those named, or, without names, all there are. @all has those
 * that could be read, whatever the status. A channel that nobody named and that is
 * deleted meanwhile is no error.
 */
int channels_open(struct channels *all, char **names);
void channels_close(struct channels *all);

/*
 * A number that the class has for all channels together, "memory" or "memory_max", or for
 * one, as "bpipe/memory"; 0 if there is none.
 */
uint64_t class_number(const char *file);

/* The bytes that the buffers of one channel may take. */
uint64_t class_share(void);

/* Return true if there is a channel with a node of that name or path, without opening it. */
bool channel_exists(const char *node);

/* Read the device number of the channel with a node of that name or path; false without one. */
bool channel_number(const char *node, unsigned int *major, unsigned int *minor);

/* Whether there are such channels, or any; asked without opening them. */
int channels_exist(char **names);

/* True if there are as many channels as there can be. */
bool channels_full(void);

/* True if a reader or writer has the channel open, and not just a bpipectl. */
bool channel_is_used(const char *name);

bool module_loaded(void);

/* The time of CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* Sleep 10 ms: for what no event announces. */
void nap(void);

/*
 * Nanoseconds until the channel is full if its level goes on rising as since @before.
 * UINT64_MAX if it does not rise, by 1 % of its size at least; if it is full already; or if
 * @before is more than a minute old.
 */
uint64_t channel_full_in(const struct channel *ch, const struct channel *before);

/* Say why a command to a channel failed, by errno; the exit status for it. */
int channel_failed(const struct channel *ch, const char *what);

#endif /* CHANNEL_H */
