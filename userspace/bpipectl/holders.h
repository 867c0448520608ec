/* SPDX-License-Identifier: GPL-2.0 */
/* Find the open files of channels in /proc. */
#ifndef HOLDERS_H
#define HOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpipe.h"

/* The name of a channel, which "(removed)" may follow. */
#define HOLDER_NAME_MAX	(BPIPE_NAME_MAX + sizeof("(removed)"))

/* An open file, and the first process found that has it. */
struct holder {
	char channel[HOLDER_NAME_MAX];
	pid_t pid;
	char command[16];
	int fd;
	unsigned int others;	/* further processes that have it */
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
	size_t hidden;		/* processes that could not be read */
	bool more_hidden;	/* /proc hides further processes */
};

/*
 * Find the open files of the named channels, or of all channels without names. Return an
 * exit status. Only root can read the processes of other users; @all has the readable ones.
 */
int holders_find(struct holders *all, char **channels);
void holders_free(struct holders *all);

/* Print them as a JSON object. */
void json_print_holders(const struct holders *all);

#endif /* HOLDERS_H */
