/* SPDX-License-Identifier: GPL-2.0 */
/* The command that monitor runs while a channel is overloaded. */
#ifndef HELPER_H
#define HELPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel.h"

/* Times are nanoseconds of CLOCK_MONOTONIC. */
struct helper {
	const char *command;
	pid_t group;		/* of its processes; 0 if none is left */
	bool stopping;		/* SIGTERM was sent to it */
	bool failed;		/* the command ended by itself, and not with status 0 */
	uint64_t started_ns;
	uint64_t kill_ns;	/* when to send SIGKILL; UINT64_MAX once that was sent */
	uint64_t retry_ns;	/* it failed: not to be started before */
	uint64_t pause_ns;	/* it failed: how long to wait the last time */
};

void helper_start(struct helper *helper, const struct channel *ch);

/* Notice what has ended of it. */
void helper_reap(struct helper *helper);

/* Send SIGTERM to it and all it started; called again after kill_ns, SIGKILL. */
void helper_stop(struct helper *helper);

#endif /* HELPER_H */
