/* SPDX-License-Identifier: GPL-2.0 */
/* Find, open and read channels, and explain failures. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "bpipe.h"

struct channel {
	int dir;	/* its directory in sysfs; -1 without sysfs */
	int fd;		/* its device; -1 if not open */
	bool named;	/* the user named it, so its removal is an error */
	char *path;
	struct bpipe_config config;
	struct bpipe_stats stats;
	/* Data dropped from all classes, by enum bpipe_drop. */
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

/* Instead of an exit status: the channel is gone, and the user did not name it. No message. */
#define CHANNEL_GONE	(-1)

/*
 * Return an exit status, with a message unless it is EXIT_OK. channel_open() finds a channel
 * and reads it; channel_read() reads it again. Neither opens the device if sysfs can be
 * used. channel_steer() opens the device for a change, and counts neither as reader nor as
 * writer. @mask has the BPIPE_CFG_* bits to change, or is 0.
 */
int channel_open(struct channel *ch, const char *which);
int channel_read(struct channel *ch);
int channel_steer(struct channel *ch, uint64_t mask);
void channel_close(struct channel *ch);

/* The keys of the device node. */
#define CHANNEL_NODE_KEYS	(BPIPE_CFG_UID | BPIPE_CFG_GID | BPIPE_CFG_PERMISSIONS)

/* Return a text that names the users that may change the fields in @mask; 0 is the peaks. */
const char *channel_changers(uint64_t mask);

/*
 * Return a file that poll(POLLPRI) watches for changes of state. Return -1 without one;
 * then repeat channel_read(). Call channel_watch_again() before each read.
 */
int channel_watch(const struct channel *ch);
void channel_watch_again(int watch);

/* Return why no channel can have this name; NULL if one can. */
const char *channel_name_fault(const char *name);

/*
 * Store the name of a channel's node in @node. @name is the channel's name, its node or its
 * path. Return NULL, or why no channel can have that name.
 */
const char *channel_node_name(const char *name, char node[BPIPE_NAME_MAX]);

/*
 * Set owner, group and permissions of the node, as far as @set has them in its mask. Where
 * udev runs, leave unset values to it: udev_wait() waits until it has set them.
 */
int channel_own(const struct channel *ch, const struct bpipe_config *set);

/*
 * Open and read the named channels, or all channels without names. @all has the channels
 * that could be read, whatever the status. A channel that is deleted in the meantime is no
 * error, unless it was named.
 */
int channels_open(struct channels *all, char **names);
void channels_close(struct channels *all);

/*
 * Return the number in an attribute of the class, such as "memory_max", or of a channel,
 * such as "bpipe/memory"; 0 if it is missing.
 */
uint64_t class_number(const char *file);

/* Return the bytes that the buffers of one channel may take. */
uint64_t class_share(void);

/* Return true if a channel has a node of that name or path. Do not open it. */
bool channel_exists(const char *node);

/* Read the device number of the node of that name or path. Return false without a channel. */
bool channel_number(const char *node, unsigned int *major, unsigned int *minor);

/*
 * Return EXIT_OK if all named channels exist, or without names, if the module is loaded.
 * Otherwise, print a message and return another exit status. Do not open the channels.
 */
int channels_exist(char **names);

/* Return true if no more channels can be created. */
bool channels_full(void);

/* Return true if a reader or writer has the channel open. A bpipectl is neither. */
bool channel_is_used(const char *name);

bool module_loaded(void);

/* Return the time of CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* Sleep 10 ms, to wait for a change without an event. */
void nap(void);

/*
 * Return the nanoseconds until the channel is full, if its level keeps rising as since
 * @before. Return UINT64_MAX if it is full or has risen by less than 1 % of its size, or if
 * @before is over a minute old.
 */
uint64_t channel_full_in(const struct channel *ch, const struct channel *before);

/* Report why a command to a channel failed, by errno. Return the exit status for it. */
int channel_failed(const struct channel *ch, const char *what);

#endif /* CHANNEL_H */
