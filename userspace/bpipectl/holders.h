/* SPDX-License-Identifier: GPL-2.0 */
/* Who has channels open: found in /proc. */
#ifndef HOLDERS_H
#define HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpipe.h"

/* The name of a channel, which "(removed)" may follow. */
#define HOLDER_NAME_MAX	(BPIPE_NAME_MAX + sizeof("(removed)"))

/* An open file, and the first of the processes that have it. */
struct holder {
	char channel[HOLDER_NAME_MAX];
	pid_t pid;
	char command[16];
	int fd;
	unsigned int others;	/* processes that have it as well */
	bool writes, reads;
	/* Its counters, under the names of fdinfo. */
	uint64_t file;
	uint64_t class;
	uint64_t written_bytes, dropped_bytes, again, blocked_ns, throttled_ns;
	uint64_t written_records, dropped_records;
	uint64_t read_bytes, starved_ns, read_records;
};

struct holders {
	struct holder *at;
	size_t nr;
	size_t hidden;		/* processes that could not be looked at */
	bool more_hidden;	/* and others that /proc does not even show */
};

/*
 * All open files of the channels named, or of all: an exit status. Only root can look at
 * processes of others; @all has what can be seen.
 */
int holders_find(struct holders *all, char **channels);
void holders_free(struct holders *all);

/* Print them as a JSON object. */
void json_print_holders(const struct holders *all);

#endif /* HOLDERS_H */
